//! The domain and the view, without a store.

use annalist::testing::{given, given_view};

use crate::account::{Account, AccountEvent, AccountEvent::*, Deposit, Open, Refused, Withdraw};
use crate::balances::{BALANCES, Balances};

#[test]
fn an_account_is_opened_once() {
    given::<Account>([]).when(Open).then_emits([Opened]);
    given::<Account>([Opened]).when(Open).then_rejected(Refused::AlreadyOpen);
}

#[test]
fn money_goes_in_and_out() {
    given::<Account>([]).when(Deposit(50)).then_rejected(Refused::NotOpen);
    given::<Account>([Opened]).when(Deposit(50)).then_emits([Deposited { amount: 50 }]).then_replies(50);
    given::<Account>([Opened, Deposited { amount: 50 }]).when(Withdraw(20)).then_replies(30);
}

#[test]
fn an_account_is_never_overdrawn() {
    let deposited = [Opened, Deposited { amount: 50 }];
    given::<Account>(deposited).when(Withdraw(60)).then_rejected(Refused::InsufficientFunds { balance: 50 });
}

#[test]
fn the_view_holds_balances() {
    let events: [(&str, AccountEvent); 3] =
        [("account-alice", Opened), ("account-alice", Deposited { amount: 50 }), ("account-bob", Opened)];
    given_view(Balances, events).replayed_twice().then(|view| {
        assert_eq!(view.get(&BALANCES, &"alice".to_owned()), Ok(Some(50)));
        assert_eq!(view.get(&BALANCES, &"bob".to_owned()), Ok(Some(0)));
    });
}

#[test]
fn recorded_events_stay_readable() {
    let examples = [Opened, Deposited { amount: 50 }, Withdrawn { amount: 20 }];
    annalist::evolution::lock(env!("CARGO_MANIFEST_DIR")).events(examples).check();
}
