//! The key-value store of the views takes no writes for a while, as when its disk is full.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use annalist_core::StoreError;
use annalist_memory::MemoryStore;

use super::bank::{Balances, PATIENCE, TOTALS, World, movements, state_when, sum};
use crate::projection::{
    Embedded, KeyValueStore, MemoryKeyValue, ModelError, ProjectionState, ReadModel as _, ViewError,
    key_value::{Batch, Rows},
};

/// Why no write is possible, as the store on disk says it.
const WHY: &str = "/data/views cannot be written (IO error: No space left on device); make room";

/// Rows on a disk that is full at times.
#[derive(Clone, Default)]
struct Disk {
    map: MemoryKeyValue,
    full: Arc<AtomicBool>,
}

impl KeyValueStore for Disk {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.map.get(key)
    }

    fn read(&self, reading: &mut dyn FnMut(&dyn Rows)) -> Result<(), StoreError> {
        self.map.read(reading)
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        if self.full.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable { why: WHY.to_owned() });
        }
        self.map.write(batch)
    }

    fn close(&self) -> Result<(), StoreError> {
        self.map.close()
    }
}

#[tokio::test(start_paused = true)]
async fn a_view_whose_disk_is_full_says_so_is_read_as_it_is_and_goes_on_when_there_is_room() {
    let disk = Disk::default();
    let world = World::of(MemoryStore::new(), disk.clone());
    let projections = world.start(Balances).await;
    let before = world.record(movements(100)).await;
    projections.reached::<Balances>(before, PATIENCE).await.unwrap();

    disk.full.store(true, Ordering::SeqCst);
    let last = world.record(movements(50)).await;
    let waiting = state_when(&projections, |state| matches!(state, ProjectionState::Waiting { .. })).await;
    let expected = format!(
        "waiting for its store since 2024-01-01T00:00:00.000000Z: the store is not available at present: {WHY}; try again later"
    );
    assert_eq!(waiting.to_string(), expected);
    // Many times as long as an event is tried.
    let unavailable = projections.reached::<Balances>(last, 20 * PATIENCE).await.unwrap_err();
    assert!(matches!(unavailable, ViewError::Unavailable { name: "balances", .. }), "{unavailable:?}");
    let view = projections.view::<Balances>().unwrap();
    assert_eq!(view.get(&TOTALS, &()).await.unwrap(), Some((100, sum(100))));

    disk.full.store(false, Ordering::SeqCst);
    assert_eq!(view.after(last).get(&TOTALS, &()).await.unwrap(), Some((150, sum(100) + sum(50))));
    assert_eq!(state_when(&projections, |state| *state == ProjectionState::Live).await, ProjectionState::Live);
}

#[tokio::test]
async fn a_transaction_that_was_overtaken_does_not_wait_for_its_store() {
    let views: Arc<dyn KeyValueStore> = Arc::new(MemoryKeyValue::new());
    let model = Embedded::open(views, "balances", 1).await.unwrap();
    let (late, at) = model.begin().await.unwrap();
    let (tx, _) = model.begin().await.unwrap();
    let moved = at.at(at.position.next());
    Embedded::commit(tx, moved).await.unwrap();
    let refused = Embedded::commit(late, moved).await.unwrap_err();
    assert!(matches!(&refused, ModelError::Moved { known, found } if (*known, *found) == (at, moved)), "{refused:?}");
}
