//! Events that are applied together, and one by one when that fails.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::bank::{AccountEvent, BALANCES, PATIENCE, World, movements};
use crate::{
    event::Recorded,
    projection::{ApplyError, Embedded, OnFailure, Projection, Tx, given_view},
};

/// Writes each balance once for all events of a transaction.
#[derive(Clone, Default)]
struct Sums {
    /// The position that cannot be applied; 0 if all can.
    bad: u64,
    /// Events that came by themselves.
    single: Arc<AtomicU64>,
    /// Events that came together.
    together: Arc<AtomicU64>,
    /// Whether it forgets one event of those that come together.
    forgets: bool,
    panics: bool,
}

impl Sums {
    fn check(&self, event: &Recorded<AccountEvent>) -> Result<i64, ApplyError> {
        let bad = event.record.position.get() == self.bad;
        assert!(!(bad && self.panics), "a bug in the projection");
        if bad {
            return Err(ApplyError::new("not to my taste"));
        }
        Ok(match event.event {
            AccountEvent::Deposited(amount) => amount,
            AccountEvent::Withdrawn(amount) => -amount,
        })
    }
}

impl Projection for Sums {
    const NAME: &'static str = "sums";
    const VERSION: u32 = 1;
    type Event = AccountEvent;
    type Model = Embedded;
    const APPLIES_ALL: bool = true;

    async fn apply(&self, event: &Recorded<AccountEvent>, tx: &mut Tx) -> Result<(), ApplyError> {
        self.single.fetch_add(1, Ordering::SeqCst);
        let amount = self.check(event)?;
        tx.update(&BALANCES, &event.record.stream().to_owned(), |balance| *balance += amount)?;
        Ok(())
    }

    async fn apply_all(&self, events: &[Recorded<AccountEvent>], tx: &mut Tx) -> Result<(), ApplyError> {
        self.together.fetch_add(events.len() as u64, Ordering::SeqCst);
        let mut sums = BTreeMap::<String, i64>::new();
        for event in events.iter().skip(usize::from(self.forgets)) {
            *sums.entry(event.record.stream().to_owned()).or_default() += self.check(event)?;
        }
        for (account, amount) in sums {
            tx.update(&BALANCES, &account, |balance| *balance += amount)?;
        }
        Ok(())
    }

    fn on_failure(&self) -> OnFailure {
        OnFailure::park().attempts(2)
    }
}

async fn balances(sums: Sums, events: i64) -> (Vec<(String, i64)>, u64) {
    let world = World::new();
    let last = world.record(movements(events)).await;
    let projections = world.start(sums).await;
    projections.reached::<Sums>(last, PATIENCE).await.unwrap();
    let parked = projections.of::<Sums>().unwrap().status().await.unwrap().parked.events;
    (projections.view::<Sums>().unwrap().scan(&BALANCES).await.unwrap(), parked)
}

#[tokio::test(start_paused = true)]
async fn what_comes_together_is_applied_together() {
    let sums = Sums::default();
    let (together, _) = balances(sums.clone(), 5000).await;
    assert_eq!((sums.single.load(Ordering::SeqCst), sums.together.load(Ordering::SeqCst)), (0, 5000));
    let by_account: BTreeMap<_, i64> = together.into_iter().collect();
    assert_eq!(by_account.len(), usize::try_from(super::bank::ACCOUNTS).unwrap());
}

#[tokio::test(start_paused = true)]
async fn the_event_at_fault_is_found_and_parked_with_its_key() {
    let (good, none) = balances(Sums::default(), 100).await;
    for panics in [false, true] {
        let (rest, parked) = balances(Sums { bad: 9, panics, ..Sums::default() }, 100).await;
        // Events 9, 16, 23 and so on are of one account; event 2 is the only one of it that counts.
        assert_eq!((none, parked), (0, 14));
        let differ = good.iter().zip(&rest).filter(|(good, rest)| good != rest).count();
        assert_eq!(differ, 1, "panics: {panics}");
    }
}

#[test]
fn another_result_together_than_by_themselves_fails_the_test() {
    let events = || [AccountEvent::Deposited(50), AccountEvent::Withdrawn(20)];
    given_view(Sums::default(), events()).replayed_twice().then(|view| {
        assert_eq!(view.get(&BALANCES, &"account-1".to_owned()), Ok(Some(30)));
    });
    let forgets = Sums { forgets: true, ..Sums::default() };
    let replay = || drop(given_view(forgets, events()).replayed_twice());
    let panic = catch_unwind(AssertUnwindSafe(replay)).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("gives other rows"));
}
