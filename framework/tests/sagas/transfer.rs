//! The saga: withdraw, deposit; pay back when the deposit is rejected; give up when the withdrawal takes too long.

use std::time::Duration;

use annalist::{
    CommandSet, Recorded,
    saga::{Effects, Input, Route, Saga},
};
use serde::{Deserialize, Serialize};

use crate::bank::{Account, AccountEvent, BankEvent, Deposit, Order, Settle, TransferEvent, Withdraw};

/// How long a withdrawal may take.
pub(crate) const DEADLINE: Duration = Duration::from_mins(30);

#[derive(Default, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Transfer {
    pub(crate) id: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) cents: u64,
    pub(crate) phase: Phase,
}

#[derive(Clone, Copy, Default, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Phase {
    #[default]
    Withdrawing,
    Depositing,
    PayingBack,
    Done,
    Failed,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Timer {
    Deadline,
}

impl Saga for Transfer {
    const NAME: &'static str = "transfer";
    const VERSION: u32 = 1;
    type Event = BankEvent;
    type Timer = Timer;

    fn commands(commands: &mut CommandSet) {
        commands.add::<Account, Withdraw>().add::<Account, Deposit>().add::<Order, Settle>();
    }

    fn route(event: &Recorded<BankEvent>) -> Route {
        match &event.event {
            BankEvent::Transfer(TransferEvent::Requested { id, .. }) => Route::Start(id.clone()),
            BankEvent::Transfer(TransferEvent::Settled { .. }) => Route::Ignore,
            BankEvent::Account(AccountEvent::Deposited { transfer, .. } | AccountEvent::Withdrawn { transfer, .. }) => {
                transfer.clone().map_or(Route::Ignore, Route::Continue)
            }
        }
    }

    fn evolve(&mut self, input: &Input<Self>) {
        match input {
            Input::Event(recorded) => match &recorded.event {
                BankEvent::Transfer(TransferEvent::Requested { id, from, to, cents }) => {
                    (self.id, self.from, self.to) = (id.clone(), from.clone(), to.clone());
                    self.cents = *cents;
                }
                BankEvent::Account(AccountEvent::Withdrawn { .. }) => self.phase = Phase::Depositing,
                BankEvent::Account(AccountEvent::Deposited { .. }) => {
                    self.phase = if self.phase == Phase::PayingBack { Phase::Failed } else { Phase::Done };
                }
                BankEvent::Transfer(TransferEvent::Settled { .. }) => {}
            },
            Input::Timer(Timer::Deadline) => self.phase = Phase::Failed,
            Input::Rejected { command, .. } if command.is::<Withdraw>() => self.phase = Phase::Failed,
            Input::Rejected { command, .. } if command.is::<Deposit>() => self.phase = Phase::PayingBack,
            Input::Rejected { .. } | Input::Accepted { .. } => {}
        }
    }

    fn react(&self, input: &Input<Self>, effects: &mut Effects<Self>) {
        let transfer = || Some(self.id.clone());
        match (self.phase, input) {
            (_, Input::Accepted { .. }) => {}
            (Phase::Withdrawing, _) => {
                let slow = self.from.starts_with("slow");
                let withdraw = Withdraw { cents: self.cents, transfer: transfer(), slow };
                effects.send::<Account, _>(&self.from, withdraw).set(Timer::Deadline, DEADLINE);
            }
            (Phase::Depositing, _) => {
                let closed = self.to.starts_with("closed");
                let deposit = Deposit { cents: self.cents, transfer: transfer(), closed };
                effects.send::<Account, _>(&self.to, deposit).cancel(Timer::Deadline);
            }
            (Phase::PayingBack, _) => {
                let deposit = Deposit { cents: self.cents, transfer: transfer(), closed: false };
                effects.send::<Account, _>(&self.from, deposit);
            }
            (Phase::Done | Phase::Failed, _) => {
                effects.send::<Order, _>(&self.id, Settle { done: self.phase == Phase::Done }).complete();
            }
        }
    }
}
