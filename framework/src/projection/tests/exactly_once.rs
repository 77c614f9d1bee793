//! Every event is applied exactly once, whenever the service ends.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use annalist_core::{Cursor, EventType, Position, StoreError};

use super::bank::{Balances, PATIENCE, TOTALS, World, movements, sum};
use crate::projection::{
    embedded::Embedded,
    key_value::{Batch, KeyValueStore, MemoryKeyValue, Rows},
};

/// A key-value store whose process dies behind some number of writes.
struct Mortal {
    map: MemoryKeyValue,
    writes_left: AtomicU64,
}

impl KeyValueStore for Mortal {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.map.get(key)
    }

    fn read(&self, reading: &mut dyn FnMut(&dyn Rows)) -> Result<(), StoreError> {
        self.map.read(reading)
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let lives = self.writes_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        lives.map_err(|_| StoreError::Closed)?;
        self.map.write(batch)
    }

    fn close(&self) -> Result<(), StoreError> {
        self.map.close()
    }
}

fn apply_five(views: Arc<dyn KeyValueStore>) -> Result<(), StoreError> {
    let model = Embedded::open_now(views, "balances", 1)?;
    for position in 1..=5 {
        let mut tx = model.begin_now()?.0;
        tx.update(&TOTALS, &(), |totals| totals.0 += 1).unwrap();
        Embedded::commit_now(tx, Cursor::START.at(Position::new(position)))?;
    }
    Ok(())
}

#[test]
fn rows_and_cursor_belong_together_wherever_the_process_dies() {
    let mut died = 0;
    for writes in 0_u64.. {
        let map = MemoryKeyValue::new();
        let ended = apply_five(Arc::new(Mortal { map: map.clone(), writes_left: AtomicU64::new(writes) }));
        let model = Embedded::open_now(Arc::new(map), "balances", 1).unwrap();
        let cursor = model.cursor_now().unwrap();
        let totals = model.begin_now().unwrap().0.get(&TOTALS, &()).unwrap().unwrap_or_default();
        assert_eq!(totals.0, cursor.position.get(), "dead behind {writes} writes");
        if ended.is_ok() {
            break;
        }
        died += 1;
    }
    assert!(died >= 5, "it dies behind every commit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_is_applied_once_though_the_service_is_dropped_midway() {
    let world = World::new();
    let mut last = world.record(movements(1000)).await;
    for stop_at in [1, 100, 350, 600, 990] {
        let projections = world.start(Balances).await;
        let seen = last.at(Position::new(stop_at));
        projections.reached::<Balances>(seen, PATIENCE).await.unwrap();
        // Dropped without a shutdown: the transaction at hand is rolled back, or comes through behind our back.
        drop(projections);
        tokio::task::yield_now().await;
    }
    last = world.record(movements(1000)).await;
    let projections = world.start(Balances).await;
    let totals = projections.view::<Balances>().unwrap().after(last).get(&TOTALS, &()).await.unwrap();
    assert_eq!(totals, Some((2000, 2 * sum(1000))));
}

#[tokio::test]
async fn a_transaction_that_comes_through_late_is_not_applied_on_top() {
    let world = World::new();
    let views: Arc<dyn KeyValueStore> = Arc::clone(&world.views);
    let model = Embedded::open_now(views, "balances", 1).unwrap();
    let mut late = model.begin_now().unwrap().0;
    late.update(&TOTALS, &(), |totals| totals.0 += 1).unwrap();
    let mut overtakes = model.begin_now().unwrap().0;
    overtakes.update(&TOTALS, &(), |totals| totals.0 += 1).unwrap();
    let cursor = world.record(movements(1)).await;
    Embedded::commit_now(overtakes, cursor).unwrap();
    let refused = Embedded::commit_now(late, cursor).unwrap_err();
    assert!(refused.to_string().contains("another writer"), "{refused}");
    assert_eq!(model.begin_now().unwrap().0.get(&TOTALS, &()), Ok(Some((1, 0))));
}

#[tokio::test]
async fn a_shutdown_commits_what_is_applied_and_the_next_start_goes_on_behind_it() {
    let world = World::new();
    world.record(movements(500)).await;
    let projections = world.start(Balances).await;
    assert!(projections.shutdown().await);
    let view = projections.view::<Balances>().unwrap();
    let seen = view.cursor().position.get();

    let last = world.record(movements(10)).await;
    let projections = world.start(Balances).await;
    let view = projections.view::<Balances>().unwrap();
    assert!(view.cursor().position.get() >= seen);
    assert_eq!(view.after(last).get(&TOTALS, &()).await.unwrap(), Some((510, sum(500) + sum(10))));
}

#[tokio::test]
async fn the_cursor_moves_over_events_that_are_of_no_interest() {
    let world = World::new();
    let projections = world.start(Balances).await;
    let view = projections.view::<Balances>().unwrap();
    let other = world.record_raw("parcel-1", EventType::new("parcel-sent").unwrap(), "{}").await;
    view.after(other).ready().await.unwrap();
    assert_eq!(view.get(&TOTALS, &()).await.unwrap(), None);

    // An event of the category that the projection does not declare is none of its business either.
    let undeclared = world.record_raw("account-1", EventType::new("account-renamed").unwrap(), "{}").await;
    view.after(undeclared).ready().await.unwrap();
    assert!(projections.shutdown().await);
    let projections = world.start(Balances).await;
    assert_eq!(projections.view::<Balances>().unwrap().cursor(), undeclared);
}
