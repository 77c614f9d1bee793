//! What cannot be applied stops its projection alone, right before the event, and is said.

use std::sync::atomic::Ordering;

use annalist_core::{Cursor, EventType, Position, StoreError};
use annalist_memory::MemoryStore;

use super::bank::{Balances, Moody, TOTALS, World, movements, state_when, sum};
use crate::projection::{ProjectionState, StartError, ViewError, instance::located};

fn failed(state: &ProjectionState) -> bool {
    matches!(state, ProjectionState::Failed { .. })
}

#[tokio::test(start_paused = true)]
async fn a_poisoned_event_stops_only_its_projection_right_before_it() {
    let world = World::new();
    let last = world.record(movements(100)).await;
    let mut set = world.set();
    let moody = Moody::failing(40, u64::MAX);
    set.register(moody.clone());
    set.register(Balances);
    let projections = set.start().await.unwrap();

    let other = projections.view::<Balances>().unwrap().after(last);
    assert_eq!(other.get(&TOTALS, &()).await.unwrap(), Some((100, sum(100))));

    let ProjectionState::Failed { position, error } = state_when(&projections, failed).await else { unreachable!() };
    assert_eq!(position, Some(Position::new(40)));
    assert!(error.contains("money-withdrawn.v1 of account-") && error.contains("not in the mood"), "{error}");
    // The first attempt in its batch, and then by itself as often as allowed.
    assert_eq!(moody.attempts.load(Ordering::SeqCst), 1 + u64::from(world.options.attempts_max));
    let status = projections.status().await.unwrap();
    assert_eq!(status.first().map(|status| (status.cursor.position, status.lag)), Some((Position::new(39), 61)));
}

#[tokio::test(start_paused = true)]
async fn a_view_that_stopped_can_be_read_and_says_why_it_goes_no_further() {
    let world = World::new();
    world.record(movements(10)).await;
    let moody = Moody::failing(11, u64::MAX);
    let projections = world.start(moody.clone()).await;
    let view = projections.view::<Moody>().unwrap();
    view.ready().await.unwrap();
    let last = world.record(movements(10)).await;
    state_when(&projections, failed).await;
    assert_eq!(view.get(&TOTALS, &()).await.unwrap(), Some((10, sum(10))));
    let refused = view.after(last).get(&TOTALS, &()).await.unwrap_err();
    assert!(matches!(refused, ViewError::Stopped { name: "moody", .. }), "{refused:?}");
    assert!(refused.to_string().contains("failed at event 11"), "{refused}");

    // Mended and started again it goes on at the event.
    drop(projections);
    moody.failures.store(0, Ordering::SeqCst);
    let projections = world.start(moody).await;
    let view = projections.view::<Moody>().unwrap().after(last);
    assert_eq!(view.get(&TOTALS, &()).await.unwrap(), Some((20, 2 * sum(10))));
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_passes_is_tried_again_and_applied_once() {
    let world = World::new();
    let last = world.record(movements(100)).await;
    let moody = Moody::failing(40, 3);
    let projections = world.start(moody.clone()).await;
    let view = projections.view::<Moody>().unwrap().after(last);
    assert_eq!(view.get(&TOTALS, &()).await.unwrap(), Some((100, sum(100))));
    assert_eq!(moody.attempts.load(Ordering::SeqCst), 4);
    let state = state_when(&projections, |state| *state == ProjectionState::Live).await;
    assert_eq!(state.to_string(), "live");
}

#[tokio::test]
async fn an_event_that_cannot_be_decoded_is_never_skipped() {
    let world = World::new();
    world.record(movements(3)).await;
    world.record_raw("account-1", EventType::versioned("money-deposited", 2).unwrap(), "4").await;
    world.record(movements(3)).await;
    let projections = world.start(Balances).await;
    let ProjectionState::Failed { position, error } = state_when(&projections, failed).await else { unreachable!() };
    assert_eq!(position, Some(Position::new(4)));
    assert!(error.contains("recorded in version 2, this program knows up to 1"), "{error}");
}

#[tokio::test]
async fn a_panic_in_a_projection_is_a_failure_like_any_other() {
    let world = World::new();
    world.record(movements(30)).await;
    let moody = Moody::default();
    moody.panics_at.store(20, Ordering::SeqCst);
    let projections = world.start(moody).await;
    let ProjectionState::Failed { position, error } = state_when(&projections, failed).await else { unreachable!() };
    assert_eq!(position, Some(Position::new(20)));
    assert!(error.ends_with("the projection panicked: a bug in the projection"), "{error}");
    assert!(projections.shutdown().await);
}

#[tokio::test]
async fn a_view_of_another_log_says_so_and_a_rebuild_mends_it() {
    let mut world = World::new();
    let last = world.record(movements(50)).await;
    let projections = world.start(Balances).await;
    projections.view::<Balances>().unwrap().after(last).ready().await.unwrap();
    assert!(projections.shutdown().await);

    world.log = std::sync::Arc::new(MemoryStore::new());
    let last = world.record(movements(20)).await;
    let projections = world.start(Balances).await;
    let foreign = |state: &ProjectionState| matches!(state, ProjectionState::Foreign { .. });
    let ProjectionState::Foreign { error } = state_when(&projections, foreign).await else { unreachable!() };
    assert!(error.contains("does not belong to this log") && error.contains("rebuild"), "{error}");

    assert_eq!(projections.rebuild::<Balances>().await.unwrap().events, 20);
    let view = projections.view::<Balances>().unwrap().after(last);
    assert_eq!(view.get(&TOTALS, &()).await.unwrap(), Some((20, sum(20))));
    let more = world.record(movements(5)).await;
    assert_eq!(view.after(more).get(&TOTALS, &()).await.unwrap(), Some((25, sum(20) + sum(5))));
}

#[tokio::test]
async fn a_partition_that_has_seen_what_is_not_there_makes_its_view_foreign() {
    let world = World::new();
    let last = world.record(movements(5)).await;
    let noted = last.at(Position::new(2));
    assert_eq!(located(&*world.log, noted, Position::ZERO).await, Ok(noted));
    assert_eq!(located(&*world.log, noted, last.position).await, Ok(noted));
    let cursor = last.at(last.position.next());
    let foreign = Err(StoreError::ForeignCursor { cursor, head: last });
    assert_eq!(located(&*world.log, noted, cursor.position).await, foreign);
    assert_eq!(located(&*world.log, Cursor::START, cursor.position).await, Ok(Cursor::START));
}

#[tokio::test]
async fn two_projections_of_one_name_are_refused() {
    let world = World::new();
    let mut set = world.set();
    set.register(Balances);
    set.register(Balances);
    let refused = set.start().await.unwrap_err();
    assert!(matches!(refused, StartError::Twice { name: "balances" }), "{refused:?}");
}

#[tokio::test]
async fn a_projection_ends_when_the_store_closes() {
    let store = MemoryStore::new();
    let world = World { log: std::sync::Arc::new(store.clone()), ..World::new() };
    let projections = world.start(Balances).await;
    let view = projections.view::<Balances>().unwrap();
    view.ready().await.unwrap();
    store.close();
    let waited = view.after(annalist_core::Cursor::START.at(Position::new(1))).ready().await.unwrap_err();
    assert!(matches!(waited, ViewError::Stopped { state: ProjectionState::Stopped, .. }), "{waited:?}");
}
