//! Transfers: money out of one account and into another. No transaction spans the two: a saga sees to it that both happen, or that what
//! happened is made good.

use std::time::Duration;

use annalist::{
    Aggregate, Command, CommandSet, Context, Decide, Decision, Event, Recorded, State, emit, ensure, nothing,
    saga::{Effects, Input, Route, Saga},
};
use serde::{Deserialize, Serialize};

use super::{Account, Deposit, Refused, Withdraw};

/// How long a transfer waits for the account that it goes to, and how often it looks.
#[derive(Debug)]
pub struct Patience;

impl Patience {
    /// Between two attempts.
    pub const BETWEEN: Duration = Duration::from_mins(1);
    /// In all: then the money goes back.
    pub const IN_ALL: Duration = Duration::from_hours(24);
}

/// What can happen to a transfer.
#[derive(Event, Clone, Debug, PartialEq)]
#[event(category = "transfer")]
pub enum TransferEvent {
    /// Somebody asked for it.
    #[event(name = "transfer-requested")]
    Requested {
        /// Out of which account.
        from: String,
        /// Into which account.
        to: String,
        /// How much.
        amount: u64,
    },
    /// The money is there.
    #[event(name = "transfer-completed")]
    Completed,
    /// It was not to be; the money is where it was.
    #[event(name = "transfer-failed")]
    Failed {
        /// Why, for people.
        reason: String,
    },
}

/// What a decision must know of a transfer.
#[derive(Default, Debug)]
pub struct Transfer {
    requested: bool,
    /// How it ended: `Err` with the reason, or well.
    pub outcome: Option<Result<(), String>>,
}

impl State for Transfer {
    type Event = TransferEvent;

    fn evolve(&mut self, event: &TransferEvent) {
        match event {
            TransferEvent::Requested { .. } => self.requested = true,
            TransferEvent::Completed => self.outcome = Some(Ok(())),
            TransferEvent::Failed { reason } => self.outcome = Some(Err(reason.clone())),
        }
    }
}

impl Aggregate for Transfer {
    type Id = String;
}

/// Asks for a transfer.
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "request-transfer")]
pub struct RequestTransfer {
    /// Out of which account.
    pub from: String,
    /// Into which account.
    pub to: String,
    /// How much.
    pub amount: u64,
}

/// Says how a transfer ended.
#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "settle-transfer")]
pub struct SettleTransfer {
    /// Why it failed, if it did.
    pub failed: Option<String>,
}

/// Why a transfer is refused.
#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
pub enum TransferRefused {
    /// The same account twice.
    #[error("a transfer goes from one account to another")]
    SameAccount,
    /// It was not asked for.
    #[error("there is no such transfer")]
    Unknown,
}

impl Decide<RequestTransfer> for Transfer {
    type Rejection = TransferRefused;
    type Reply = ();

    fn decide(&self, request: &RequestTransfer, _: &Context) -> Result<Decision<TransferEvent>, TransferRefused> {
        ensure!(request.from != request.to, TransferRefused::SameAccount);
        if self.requested {
            return Ok(nothing());
        }
        let RequestTransfer { from, to, amount } = request.clone();
        Ok(emit(TransferEvent::Requested { from, to, amount }))
    }
}

impl Decide<SettleTransfer> for Transfer {
    type Rejection = TransferRefused;
    type Reply = ();

    fn decide(&self, settle: &SettleTransfer, _: &Context) -> Result<Decision<TransferEvent>, TransferRefused> {
        ensure!(self.requested, TransferRefused::Unknown);
        if self.outcome.is_some() {
            return Ok(nothing());
        }
        Ok(emit(match settle.failed.clone() {
            None => TransferEvent::Completed,
            Some(reason) => TransferEvent::Failed { reason },
        }))
    }
}

/// Carries transfers through: withdraws, deposits, and if that cannot be, puts the money back. Each step is one command; what came of it, or
/// an alarm, moves the transfer to the next.
#[derive(Default, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transfers {
    transfer: String,
    from: String,
    to: String,
    amount: u64,
    step: Step,
    /// Whether the last input has brought it there: only then is there something to do.
    moved: bool,
    /// Why the money goes back, once that is decided.
    failed: Option<String>,
}

/// Where a transfer is.
#[derive(Default, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Step {
    #[default]
    New,
    Withdrawing,
    Depositing,
    /// The account is not open yet.
    Waiting,
    Refunding,
    /// Even the way back was refused, because the account is full: it is tried again until it is not.
    Stuck,
    Settling,
    Done,
}

/// What its timers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Alarm {
    /// Try again.
    Again,
    /// It took too long.
    GiveUp,
}

impl Transfers {
    fn next(&mut self, input: &Input<Self>) -> Step {
        let too_late = || format!("{} was not opened in time", self.to);
        match (self.step, input) {
            (Step::New, Input::Event(recorded)) => {
                let TransferEvent::Requested { from, to, amount } = &recorded.event else { return Step::New };
                recorded.record.stream_id().identifier().clone_into(&mut self.transfer);
                (self.from, self.to, self.amount) = (from.clone(), to.clone(), *amount);
                Step::Withdrawing
            }
            (Step::Withdrawing, Input::Accepted { .. }) | (Step::Waiting, Input::Timer(Alarm::Again)) => {
                Step::Depositing
            }
            (Step::Withdrawing, Input::Rejected { rejection, .. }) => {
                self.failed = Some(rejection.to_string());
                Step::Settling
            }
            (Step::Depositing, Input::Rejected { rejection, .. }) => {
                if self.failed.is_none() && matches!(rejection.read(), Some(Refused::NotOpen)) {
                    return Step::Waiting;
                }
                self.failed.get_or_insert_with(|| rejection.to_string());
                Step::Refunding
            }
            // A deposit is under way: if it is refused, the money goes back.
            (Step::Depositing, Input::Timer(Alarm::GiveUp)) => {
                self.failed = Some(too_late());
                Step::Depositing
            }
            (Step::Waiting, Input::Timer(Alarm::GiveUp)) => {
                self.failed = Some(too_late());
                Step::Refunding
            }
            (Step::Refunding, Input::Rejected { .. }) => Step::Stuck,
            (Step::Stuck, Input::Timer(Alarm::Again)) => Step::Refunding,
            (Step::Depositing, Input::Accepted { .. }) => {
                self.failed = None;
                Step::Settling
            }
            (Step::Refunding, Input::Accepted { .. }) => Step::Settling,
            (Step::Settling, Input::Accepted { .. } | Input::Rejected { .. }) => Step::Done,
            // Alarms that come too late.
            (step, _) => step,
        }
    }

    fn deposit(&self) -> Deposit {
        Deposit { amount: self.amount, transfer: Some(self.transfer.clone()) }
    }
}

impl Saga for Transfers {
    const NAME: &'static str = "transfers";
    const VERSION: u32 = 1;
    type Event = TransferEvent;
    type Timer = Alarm;

    fn commands(commands: &mut CommandSet) {
        commands.add::<Account, Withdraw>();
        commands.add::<Account, Deposit>();
        commands.add::<Transfer, SettleTransfer>();
    }

    fn route(event: &Recorded<TransferEvent>) -> Route {
        match event.event {
            TransferEvent::Requested { .. } => Route::Start(event.record.stream_id().identifier().to_owned()),
            TransferEvent::Completed | TransferEvent::Failed { .. } => Route::Ignore,
        }
    }

    fn evolve(&mut self, input: &Input<Self>) {
        let before = self.step;
        self.step = self.next(input);
        self.moved = self.step != before;
    }

    fn react(&self, _: &Input<Self>, effects: &mut Effects<Self>) {
        let transfer = Some(self.transfer.clone());
        match self.step {
            _ if !self.moved => {}
            Step::New => {}
            Step::Withdrawing => {
                effects.send::<Account, _>(&self.from, Withdraw { amount: self.amount, transfer });
                effects.set(Alarm::GiveUp, Patience::IN_ALL);
            }
            Step::Depositing => {
                effects.send::<Account, _>(&self.to, self.deposit());
            }
            Step::Waiting | Step::Stuck => {
                effects.set(Alarm::Again, Patience::BETWEEN);
            }
            Step::Refunding => {
                effects.cancel(Alarm::GiveUp).cancel(Alarm::Again);
                effects.send::<Account, _>(&self.from, self.deposit());
            }
            Step::Settling => {
                effects.cancel(Alarm::GiveUp);
                effects.send::<Transfer, _>(&self.transfer, SettleTransfer { failed: self.failed.clone() });
            }
            Step::Done => {
                effects.complete();
            }
        }
    }
}
