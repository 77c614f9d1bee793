//! A rebuild gives what the live view has, in its place in one step, or nothing at all.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use annalist_core::{Cursor, EventType, Position};
use tokio::sync::Semaphore;

use super::bank::{AccountEvent, BALANCES, Balances, Moody, TOTALS, World, count, movements, sum};
use crate::{
    event::Recorded,
    projection::{ApplyError, Embedded, Projection, ProjectionState, RebuildError, Tx},
};

/// The same view by a projection that the test lets apply event by event once it has been throttled.
#[derive(Clone)]
pub(super) struct Throttled {
    /// Events behind this position of a replay wait for a permit.
    pub(super) free_until: Arc<AtomicU64>,
    pub(super) permits: Arc<Semaphore>,
    pub(super) applied: Arc<AtomicU64>,
}

impl Throttled {
    pub(super) fn new() -> Self {
        let free_until = Arc::new(AtomicU64::new(u64::MAX));
        Self { free_until, permits: Arc::new(Semaphore::new(0)), applied: Arc::default() }
    }
}

impl Projection for Throttled {
    const NAME: &'static str = "throttled";
    const VERSION: u32 = 1;
    type Event = AccountEvent;
    type Model = Embedded;

    async fn apply(&self, event: &Recorded<AccountEvent>, tx: &mut Tx) -> Result<(), ApplyError> {
        if event.record.position.get() > self.free_until.load(Ordering::SeqCst) {
            self.permits.acquire().await?.forget();
        }
        self.applied.fetch_add(1, Ordering::SeqCst);
        count(event, tx)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_under_live_appends_gives_the_incremental_result_and_readers_never_see_the_seam() {
    let world = World::new();
    world.record(movements(2000)).await;
    let projections = world.start(Balances).await;
    let view = projections.view::<Balances>().unwrap();
    let writer = tokio::spawn({
        let world = world.clone();
        async move {
            let mut last = Cursor::START;
            for _ in 0..300 {
                last = world.record(movements(10)).await;
                tokio::task::yield_now().await;
            }
            last
        }
    });
    let reader = tokio::spawn({
        let view = view.clone();
        async move {
            let mut seen = 0;
            while seen < 5000 {
                let (sum, totals) = view
                    .read(|view| {
                        let mut sum = 0;
                        view.scan(&BALANCES).for_each(|_, balance| sum += balance)?;
                        Ok((sum, view.get(&TOTALS, &())?.unwrap_or_default()))
                    })
                    .await
                    .unwrap();
                assert_eq!(sum, totals.1, "rows of one state belong together");
                assert!(totals.0 >= seen, "the view went back from {seen} to {} events", totals.0);
                seen = totals.0;
            }
        }
    });
    let mut rebuilds = 0;
    while !writer.is_finished() || rebuilds < 2 {
        let rebuilt = projections.rebuild::<Balances>().await.unwrap();
        assert!(rebuilt.events >= 2000, "{rebuilt}");
        rebuilds += 1;
    }
    let last = writer.await.unwrap();
    assert_eq!(last.position, Position::new(5000));
    reader.await.unwrap();
    let totals = view.after(last).get(&TOTALS, &()).await.unwrap();
    assert_eq!(totals, Some((5000, sum(2000) + 300 * sum(10))));
    let balances = view.scan(&BALANCES).await.unwrap();
    projections.rebuild_by_name("balances").await.unwrap();
    assert_eq!(view.scan(&BALANCES).await.unwrap(), balances);
    // One instance is left: its note, its rows, and the one row that names it.
    assert_eq!(world.raw_rows().len(), 1 + 1 + balances.len() + 1);
}

#[tokio::test]
async fn a_rebuild_during_the_first_replay_takes_its_place() {
    let world = World::new();
    let last = world.record(movements(1000)).await;
    let throttled = Throttled::new();
    throttled.free_until.store(500, Ordering::SeqCst);
    let projections = world.start(throttled.clone()).await;
    // Both get stuck: the first replay of the view, and the rebuild beside it.
    let rebuild = projections.rebuild::<Throttled>();
    rebuild.progress().wait_for(|progress| progress.done > 200 && progress.total == 1000).await.unwrap();
    throttled.free_until.store(u64::MAX, Ordering::SeqCst);
    throttled.permits.add_permits(2);
    assert_eq!(rebuild.await.unwrap().cursor, last);
    let view = projections.view::<Throttled>().unwrap();
    assert_eq!(view.after(last).get(&TOTALS, &()).await.unwrap(), Some((1000, sum(1000))));
    let accounts = view.scan(&BALANCES).await.unwrap().len();
    assert_eq!(world.raw_rows().len(), 1 + 1 + accounts + 1);
}

/// Starts a rebuild of 1,000 events that gets no further than the first 500.
pub(super) async fn stuck_rebuild(
    world: &World,
) -> (Throttled, crate::projection::Projections, crate::projection::Rebuild, usize) {
    let last = world.record(movements(1000)).await;
    let throttled = Throttled::new();
    let projections = world.start(throttled.clone()).await;
    projections.view::<Throttled>().unwrap().after(last).ready().await.unwrap();
    let rows = world.raw_rows().len();
    throttled.free_until.store(500, Ordering::SeqCst);
    let rebuild = projections.rebuild::<Throttled>();
    rebuild.progress().wait_for(|progress| progress.done > 200 && progress.total == 1000).await.unwrap();
    assert!(world.raw_rows().len() > rows, "something stands beside the live view");
    (throttled, projections, rebuild, rows)
}

#[tokio::test]
async fn a_cancelled_rebuild_leaves_the_live_view_and_no_trace() {
    let world = World::new();
    let (throttled, projections, rebuild, rows) = stuck_rebuild(&world).await;
    let status = projections.status().await.unwrap().remove(0);
    assert!(status.rebuild.is_some_and(|progress| progress.fraction() < 0.6), "{status}");
    assert!(status.to_string().contains("; rebuilding: "), "{status}");
    let twice = projections.rebuild::<Throttled>().await.unwrap_err();
    assert_eq!(twice, RebuildError::InProgress { name: "throttled".to_owned() });

    let mut progress = rebuild.progress();
    drop(rebuild);
    throttled.permits.add_permits(1000);
    // The sender goes when the rebuild has cleaned up.
    while progress.changed().await.is_ok() {}
    assert_eq!(world.raw_rows().len(), rows);
    let view = projections.view::<Throttled>().unwrap();
    assert_eq!(view.get(&TOTALS, &()).await.unwrap(), Some((1000, sum(1000))));

    // The live view goes on, and another rebuild may begin.
    throttled.free_until.store(u64::MAX, Ordering::SeqCst);
    let last = world.record(movements(5)).await;
    assert_eq!(view.after(last).get(&TOTALS, &()).await.unwrap(), Some((1005, sum(1000) + sum(5))));
    assert_eq!(projections.rebuild::<Throttled>().await.unwrap().cursor, last);
}

#[tokio::test(start_paused = true)]
async fn a_rebuild_that_fails_says_where_and_leaves_the_live_view() {
    let world = World::new();
    let last = world.record(movements(1000)).await;
    let moody = Moody::default();
    let projections = world.start(moody.clone()).await;
    let view = projections.view::<Moody>().unwrap();
    view.after(last).ready().await.unwrap();
    moody.fails_at.store(700, Ordering::SeqCst);
    moody.failures.store(u64::MAX, Ordering::SeqCst);
    let rows = world.raw_rows();
    let failed = projections.rebuild::<Moody>().await.unwrap_err();
    let RebuildError::Failed { name, position, error } = failed else { panic!("{failed:?}") };
    assert_eq!((name.as_str(), position), ("moody", Some(Position::new(700))));
    assert!(error.ends_with("not in the mood"), "{error}");
    assert_eq!(world.raw_rows(), rows);
    assert_eq!(projections.status().await.unwrap().remove(0).state, ProjectionState::Live);
    assert_eq!(view.get(&TOTALS, &()).await.unwrap(), Some((1000, sum(1000))));
}

#[tokio::test]
async fn a_rebuild_tells_its_progress_and_what_it_did() {
    let world = World::new();
    let last = world.record(movements(1000)).await;
    let projections = world.start(Balances).await;
    projections.view::<Balances>().unwrap().after(last).ready().await.unwrap();
    let rebuild = projections.rebuild::<Balances>();
    let progress = rebuild.progress();
    let rebuilt = rebuild.with_bar().await.unwrap();
    assert_eq!((rebuilt.events, rebuilt.cursor), (1000, last));
    assert!(rebuilt.to_string().starts_with("1000 events in "), "{rebuilt}");
    let end = *progress.borrow();
    assert_eq!((end.done, end.total, end.left), (1000, 1000, Some(std::time::Duration::ZERO)));
    assert!(end.to_string().starts_with("100 %, 1000 of 1000 events, "), "{end}");

    let unknown = projections.rebuild_by_name("balance").await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no projection `balance`; registered are: balances");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decoding_ahead_keeps_the_order_and_says_where_it_cannot_decode() {
    let mut world = World::new();
    let mut last = world.record(movements(2000)).await;
    for decoders in [0, 1, 4] {
        world.options.rebuild_decoders = decoders;
        let projections = world.start(Balances).await;
        let view = projections.view::<Balances>().unwrap().after(last);
        let before = view.scan(&BALANCES).await.unwrap();
        assert_eq!(projections.rebuild::<Balances>().await.unwrap().cursor, last);
        assert_eq!(view.scan(&BALANCES).await.unwrap(), before);
        assert!(projections.shutdown().await);
    }
    for decoders in [0, 1, 4] {
        world.options.rebuild_decoders = decoders;
        let projections = world.start(Balances).await;
        projections.view::<Balances>().unwrap().ready().await.unwrap();
        let newer = EventType::versioned("money-deposited", 2).unwrap();
        if decoders == 0 {
            last = world.record_raw("account-1", newer, "4").await;
            world.record(movements(500)).await;
        }
        let failed = projections.rebuild::<Balances>().await.unwrap_err();
        let RebuildError::Failed { position, error, .. } = failed else { panic!("{failed:?}") };
        assert_eq!(position, Some(last.position));
        assert!(error.contains("recorded in version 2"), "{error}");
    }
}
