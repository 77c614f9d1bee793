//! The test kit for sagas: it passes what holds, and says what does not.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use annalist::{
    CommandSet, Recorded,
    saga::{Effects, Input, Route, Saga},
    testing::{GivenSaga, given_saga, to},
};
use serde::{Deserialize, Serialize};

use crate::{
    bank::{Account, AccountEvent, BankEvent, Deposit, Order, Refused, Settle, TransferEvent, Withdraw},
    transfer::{DEADLINE, Phase, Timer, Transfer},
};

fn requested(to: &str) -> BankEvent {
    let (id, from, to) = ("t1".to_owned(), "alice".to_owned(), to.to_owned());
    BankEvent::Transfer(TransferEvent::Requested { id, from, to, cents: 60 })
}

fn withdrawn() -> BankEvent {
    BankEvent::Account(AccountEvent::Withdrawn { cents: 60, transfer: Some("t1".to_owned()) })
}

fn deposited() -> BankEvent {
    BankEvent::Account(AccountEvent::Deposited { cents: 60, transfer: Some("t1".to_owned()) })
}

fn withdraw() -> Withdraw {
    Withdraw { cents: 60, transfer: Some("t1".to_owned()), slow: false }
}

fn deposit(closed: bool) -> Deposit {
    Deposit { cents: 60, transfer: Some("t1".to_owned()), closed }
}

#[test]
fn a_transfer_withdraws_then_deposits_then_is_settled() {
    given_saga::<Transfer>([requested("bob")])
        .then_sends([to::<Account, _>("alice", withdraw())])
        .then_timers([(Timer::Deadline, DEADLINE)])
        .accepted(40)
        .then_nothing()
        .when(("account-alice", withdrawn()))
        .then_sends([to::<Account, _>("bob", deposit(false))])
        .then_state(|transfer| assert_eq!(transfer.phase, Phase::Depositing))
        .then_timers([])
        .after(2 * DEADLINE)
        .then_nothing()
        .when(deposited())
        .then_sends([to::<Order, _>("t1", Settle { done: true })])
        .then_completed();
}

#[test]
fn a_rejected_deposit_is_paid_back() {
    given_saga::<Transfer>([requested("closed"), withdrawn()])
        .accepted(40)
        .rejected(Refused::Closed)
        .then_sends([to::<Account, _>("alice", deposit(false))])
        .when(deposited())
        .then_sends([to::<Order, _>("t1", Settle { done: false })])
        .then_completed();
}

#[test]
fn a_transfer_that_takes_too_long_fails() {
    given_saga::<Transfer>([requested("bob")])
        .after(Duration::from_secs(29 * 60 + 59))
        .then_nothing()
        .then_timers([(Timer::Deadline, Duration::from_secs(1))])
        .after(Duration::from_secs(1))
        .then_sends([to::<Order, _>("t1", Settle { done: false })])
        .then_state(|transfer| assert_eq!(transfer.phase, Phase::Failed))
        .then_completed();
}

/// Everything that can be wrong with a saga.
#[derive(Default, Serialize, Deserialize)]
struct Wrong {
    #[serde(skip_deserializing)]
    forgotten: u64,
}

impl Saga for Wrong {
    const NAME: &'static str = "wrong";
    const VERSION: u32 = 1;
    type Event = AccountEvent;
    type Timer = ();

    fn commands(commands: &mut CommandSet) {
        commands.add::<Account, Withdraw>();
    }

    fn route(event: &Recorded<AccountEvent>) -> Route {
        match &event.event {
            AccountEvent::Deposited { transfer: None, .. } => Route::Ignore,
            AccountEvent::Deposited { transfer: Some(key), .. } => Route::Start(key.clone()),
            AccountEvent::Withdrawn { .. } => Route::Continue("t1".to_owned()),
        }
    }

    fn evolve(&mut self, input: &Input<Self>) {
        if let Input::Event(Recorded { event: AccountEvent::Withdrawn { cents, .. }, .. }) = input {
            self.forgotten = *cents;
        }
    }

    fn react(&self, input: &Input<Self>, effects: &mut Effects<Self>) {
        if let Input::Event(Recorded { event: AccountEvent::Deposited { cents: 60, .. }, .. }) = input {
            effects.send::<Account, _>(&"alice".to_owned(), deposit(false));
        }
    }
}

fn begun(cents: u64) -> GivenSaga<Wrong> {
    given_saga([AccountEvent::Deposited { cents, transfer: Some("t1".to_owned()) }])
}

fn message<T>(test: impl FnOnce() -> T) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(test)) else { panic!("the test should fail") };
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn every_mistake_fails_and_says_why() {
    let shown = |said: String, wanted: &str| assert!(said.contains(wanted), "{said}");
    let unregistered = message(|| begun(60));
    shown(unregistered.clone(), "`wrong` sends what cannot be executed");
    shown(unregistered, "add `.add::<Aggregate, Command>()` to the `commands` of the saga");
    let lossy = message(|| begun(1).when(AccountEvent::Withdrawn { cents: 5, transfer: None }));
    shown(lossy, "the state of `wrong` does not come back as it went: {\"forgotten\":5} became {\"forgotten\":0}");
    let ignored = message(|| begun(1).when(AccountEvent::Deposited { cents: 1, transfer: None }));
    shown(ignored, "`money-deposited` in account-1 is not for the instance: it routes to Ignore");
    let other = AccountEvent::Deposited { cents: 1, transfer: Some("t2".to_owned()) };
    shown(message(|| begun(1).when(other)), "is for the instance `t2`, not for `t1`");
    shown(message(|| begun(1).accepted(())), "has sent no command that waits for an outcome");
    shown(message(|| begun(1).then_completed()), "the instance `t1` of `wrong` is not completed");
    let sends = message(|| begun(1).then_sends([to::<Account, _>("alice", withdraw())]));
    shown(sends, "`wrong` sends other commands than expected\n  (- expected, + actual)\n- [\n-     ExpectedCommand {");
    shown(message(|| begun(1).then_timers([((), DEADLINE)])), "has other timers than expected");
}
