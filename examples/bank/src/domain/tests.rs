//! The domain without a store.

use annalist::{
    TestEnv,
    testing::{ExpectedCommand, GivenSaga, given, given_saga, given_scope, to},
};

use super::{AccountEvent::*, *};

fn opened() -> AccountEvent {
    Opened { owner: "alice".to_owned() }
}

fn deposited(amount: u64) -> AccountEvent {
    Deposited { amount, transfer: None }
}

#[test]
fn an_account_is_opened_once() {
    let open = || Open { owner: "alice".to_owned() };
    given::<Account>([]).when(open()).then_emits([opened()]);
    given::<Account>([opened()]).when(open()).then_rejected(Refused::AlreadyOpen);
}

#[test]
fn money_goes_in_and_out() {
    let deposit = || Deposit { amount: 50, transfer: None };
    given::<Account>([]).when(deposit()).then_rejected(Refused::NotOpen);
    given::<Account>([opened()]).when(deposit()).then_emits([deposited(50)]).then_replies(50);
    given::<Account>([opened(), deposited(50)]).when(Withdraw { amount: 20, transfer: None }).then_replies(30);
}

#[test]
fn an_account_is_never_overdrawn() {
    let withdraw = Withdraw { amount: 60, transfer: None };
    given::<Account>([opened(), deposited(50)])
        .when(withdraw)
        .then_rejected(Refused::InsufficientFunds { balance: 50 });
}

#[test]
fn a_limit_holds_across_accounts_and_for_a_day() {
    let withdraw = || WithdrawLarge { account: "giro".to_owned(), owner: "alice".to_owned(), amount: LARGE };
    let today = TestEnv::START.as_micros() / (24 * 60 * 60 * 1_000_000);
    let three_from_savings = |day| {
        let (account, owner) = ("savings".to_owned(), "alice".to_owned());
        vec![LargeWithdrawn { account, amount: LARGE, owner, day }; LARGE_PER_DAY]
    };
    let giro = || given_scope::<LargeWithdrawals>([opened(), deposited(10 * LARGE)]);
    let made = LargeWithdrawn { account: "giro".to_owned(), amount: LARGE, owner: "alice".to_owned(), day: today };
    giro().when(withdraw()).then_emits([made]).then_replies(9 * LARGE);
    giro()
        .recorded_in("account-savings", three_from_savings(today))
        .when(withdraw())
        .then_rejected(LimitRefused::LimitReached { owner: "alice".to_owned() });
    giro().recorded_in("account-savings", three_from_savings(today - 1)).when(withdraw()).then_replies(9 * LARGE);
}

fn rent() -> TransferEvent {
    TransferEvent::Requested { from: "alice".to_owned(), to: "bob".to_owned(), amount: 20 }
}

fn withdraw_rent() -> Withdraw {
    Withdraw { amount: 20, transfer: Some("rent".to_owned()) }
}

fn deposit_rent() -> Deposit {
    Deposit { amount: 20, transfer: Some("rent".to_owned()) }
}

fn requested() -> GivenSaga<Transfers> {
    given_saga::<Transfers>([("transfer-rent", rent())]).then_sends([to::<Account, _>("alice", withdraw_rent())])
}

fn settled(failed: Option<&str>) -> ExpectedCommand {
    to::<Transfer, _>("rent", SettleTransfer { failed: failed.map(str::to_owned) })
}

#[test]
fn money_goes_out_and_in() {
    requested()
        .accepted(30)
        .then_sends([to::<Account, _>("bob", deposit_rent())])
        .accepted(20)
        .then_sends([settled(None)])
        .accepted(())
        .then_completed();
}

#[test]
fn without_money_there_is_nothing_to_make_good() {
    let refused = Refused::InsufficientFunds { balance: 3 };
    let reason = refused.to_string();
    requested().rejected(refused).then_sends([settled(Some(&reason))]).accepted(()).then_completed();
}

#[test]
fn what_cannot_come_in_goes_back() {
    let reason = Refused::TooMuch.to_string();
    requested()
        .accepted(30)
        .rejected(Refused::TooMuch)
        .then_sends([to::<Account, _>("alice", deposit_rent())])
        .accepted(50)
        .then_sends([settled(Some(&reason))])
        .accepted(())
        .then_completed();
}

#[test]
fn a_transfer_waits_for_an_account_to_be_opened() {
    requested()
        .accepted(30)
        .rejected(Refused::NotOpen)
        .after(Patience::BETWEEN)
        .then_sends([to::<Account, _>("bob", deposit_rent())])
        .accepted(20)
        .then_sends([settled(None)]);
}

#[test]
fn a_transfer_does_not_wait_for_ever() {
    let waiting = requested().accepted(30).rejected(Refused::NotOpen);
    // Each time it looks, the account is still not there.
    let times = Patience::IN_ALL.as_secs() / Patience::BETWEEN.as_secs() - 1;
    let waiting = (0..times).fold(waiting, |waiting, _| {
        let looking = waiting.after(Patience::BETWEEN).then_sends([to::<Account, _>("bob", deposit_rent())]);
        looking.rejected(Refused::NotOpen)
    });
    waiting
        .after(Patience::BETWEEN)
        .then_sends([to::<Account, _>("alice", deposit_rent())])
        .accepted(50)
        .then_sends([settled(Some("bob was not opened in time"))])
        .accepted(())
        .then_completed();
}

#[test]
fn recorded_events_stay_readable() {
    let (owner, transfer) = ("alice".to_owned(), Some("rent".to_owned()));
    let large = LargeWithdrawn { account: "giro".to_owned(), amount: LARGE, owner, day: 20_000 };
    let (amount, rent) = (20, rent());
    annalist::evolution::lock(env!("CARGO_MANIFEST_DIR"))
        .events([opened(), Deposited { amount, transfer: transfer.clone() }, Withdrawn { amount, transfer }, large])
        .events([rent, TransferEvent::Completed, TransferEvent::Failed { reason: "too late".to_owned() }])
        .check();
}
