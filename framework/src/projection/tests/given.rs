//! `given_view`: projections tested without a store.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
};

use super::bank::{AccountEvent, BALANCES, Balances, Moody, TOTALS, count};
use crate::{
    event::Recorded,
    projection::{ApplyError, Embedded, Projection, Tx, given_view},
};

fn message(run: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn given_events_then_rows() {
    let sum = given_view(Balances, [AccountEvent::Deposited(50), AccountEvent::Withdrawn(20)])
        .replayed_twice()
        .then(|view| view.get(&BALANCES, &"account-1".to_owned()).unwrap());
    assert_eq!(sum, Some(30));
}

#[test]
fn given_events_of_several_streams() {
    let deposit = AccountEvent::Deposited(50);
    given_view(Balances, [("account-alice", deposit), ("account-bob", deposit), ("account-alice", deposit)]).then(
        |view| {
            let rows = view.scan(&BALANCES).rows().unwrap();
            assert_eq!(rows, [("account-alice".to_owned(), 100), ("account-bob".to_owned(), 50)]);
            assert_eq!(view.get(&TOTALS, &()), Ok(Some((3, 150))));
        },
    );
}

#[test]
fn given_nothing() {
    given_view(Balances, [AccountEvent::Deposited(1); 0]).replayed_twice().then(|view| {
        assert_eq!(view.get(&TOTALS, &()), Ok(None));
    });
}

#[test]
fn an_event_that_cannot_be_applied_fails_the_test() {
    let moody = Moody::failing(2, 1);
    let said = message(|| {
        given_view(moody, [AccountEvent::Deposited(1), AccountEvent::Deposited(2)]).then(|_| ());
    });
    assert_eq!(said, "cannot apply money-deposited at position 2 of account-1: not in the mood");
}

/// Counts for itself, instead of in its rows.
#[derive(Default)]
struct Stateful(AtomicU64);

impl Projection for Stateful {
    const NAME: &'static str = "stateful";
    const VERSION: u32 = 1;
    type Event = AccountEvent;
    type Model = Embedded;

    async fn apply(&self, event: &Recorded<AccountEvent>, tx: &mut Tx) -> Result<(), ApplyError> {
        count(event, tx)?;
        tx.update(&TOTALS, &(), |totals| totals.0 = self.0.fetch_add(1, Ordering::SeqCst))?;
        Ok(())
    }
}

#[test]
fn a_projection_with_a_memory_of_its_own_is_found_out() {
    let said = message(|| {
        drop(given_view(Stateful::default(), [AccountEvent::Deposited(1)]).replayed_twice());
    });
    assert!(said.starts_with("`stateful` gives other rows when it is replayed"), "{said}");
    assert!(said.contains("first:  totals\\x00 = [00, 02]"), "{said}");
}
