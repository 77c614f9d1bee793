//! Waiting for one's own write, and reading one state.

use std::{sync::atomic::Ordering, time::Duration};

use annalist_core::{Cursor, Position};

use super::bank::{BALANCES, Balances, Moody, TOTALS, World, movements, sum};
use crate::projection::{ProjectionState, ViewError};

#[tokio::test]
async fn a_reader_sees_its_own_write_every_time() {
    let world = World::new();
    let projections = world.start(Balances).await;
    let view = projections.view::<Balances>().unwrap();
    for round in 1..=200_u64 {
        let cursor = world.record(movements(3)).await;
        assert_eq!(view.after(cursor).get(&TOTALS, &()).await.unwrap(), Some((3 * round, 6 * round.cast_signed())));
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_takes_too_long_says_how_far_the_view_is() {
    let world = World::new();
    let projections = world.start(Balances).await;
    let view = projections.view::<Balances>().unwrap();
    let cursor = world.record(movements(3)).await;
    view.after(cursor).ready().await.unwrap();
    let future = cursor.at(Position::new(9));
    let late = view.after(future).within(Duration::from_secs(2)).get(&TOTALS, &()).await.unwrap_err();
    let expected = ViewError::Behind {
        name: "balances",
        state: ProjectionState::Live,
        seen: Position::new(3),
        wanted: Position::new(9),
        waited: Duration::from_secs(2),
    };
    assert_eq!(late, expected);
    assert_eq!(late.to_string(), "the view `balances` is live at event 3 and did not reach event 9 within 2s");
}

#[tokio::test]
async fn a_cursor_of_another_log_is_refused() {
    let world = World::new();
    let projections = world.start(Balances).await;
    let view = projections.view::<Balances>().unwrap();
    view.after(world.record(movements(3)).await).ready().await.unwrap();
    let foreign = World::new().record(movements(1)).await;
    assert_eq!(view.after(foreign).ready().await, Err(ViewError::ForeignCursor { name: "balances", cursor: foreign }));
    // Nothing to wait for.
    view.after(Cursor::START).ready().await.unwrap();
}

#[tokio::test]
async fn several_reads_in_one_see_one_state() {
    let world = World::new();
    let projections = world.start(Balances).await;
    let view = projections.view::<Balances>().unwrap();
    let writer = tokio::spawn({
        let world = world.clone();
        async move {
            let mut last = Cursor::START;
            for _ in 0..100 {
                last = world.record(movements(20)).await;
            }
            last
        }
    });
    while !writer.is_finished() {
        let (sum, totals) = view
            .read(|view| {
                let mut sum = 0;
                view.scan(&BALANCES).for_each(|_, balance| sum += balance)?;
                Ok((sum, view.get(&TOTALS, &())?.unwrap_or_default()))
            })
            .await
            .unwrap();
        assert_eq!(sum, totals.1);
        tokio::task::yield_now().await;
    }
    let last = writer.await.unwrap();
    assert_eq!(view.after(last).get(&TOTALS, &()).await.unwrap(), Some((2000, 100 * sum(20))));
}

#[tokio::test]
async fn a_scan_takes_range_order_and_limit() {
    let world = World::new();
    let projections = world.start(Balances).await;
    let view = projections.view::<Balances>().unwrap().after(world.record(movements(14)).await);
    let names = |rows: Vec<(String, i64)>| rows.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let all: Vec<String> = (0..7).map(|n| format!("account-{n}")).collect();
    assert_eq!(names(view.scan(&BALANCES).await.unwrap()), all);
    assert_eq!(names(view.scan(&BALANCES).rev().limit(2).await.unwrap()), ["account-6", "account-5"]);
    let range = "account-2".to_owned().."account-4".to_owned();
    assert_eq!(names(view.scan(&BALANCES).range(range).await.unwrap()), ["account-2", "account-3"]);
    assert_eq!(names(view.scan(&BALANCES).prefix("account-").await.unwrap()), all);
    assert_eq!(names(view.scan(&BALANCES).prefix("b").await.unwrap()), Vec::<String>::new());
}

#[tokio::test]
async fn a_projection_that_is_not_registered_is_named() {
    let projections = World::new().start(Balances).await;
    let unknown = projections.view::<Moody>().unwrap_err();
    assert_eq!(unknown.to_string(), "there is no projection `moody`; registered are: balances");
}

#[tokio::test(start_paused = true)]
async fn a_view_is_not_read_before_it_was_complete_once() {
    let world = World::new();
    world.record(movements(100)).await;
    let moody = Moody::failing(90, u64::MAX);
    let projections = world.start(moody.clone()).await;
    let view = projections.view::<Moody>().unwrap();
    let early = view.within(Duration::from_millis(500)).get(&TOTALS, &()).await.unwrap_err();
    assert!(matches!(early, ViewError::Building { seen, .. } if seen < Position::new(90)), "{early:?}");
    moody.failures.store(0, Ordering::SeqCst);
    assert_eq!(view.get(&TOTALS, &()).await.unwrap(), Some((100, sum(100))));
}

#[tokio::test]
async fn the_status_is_a_line_for_people() {
    let world = World::new();
    let projections = world.start(Balances).await;
    let last = world.record(movements(100)).await;
    projections.all_reached(last, super::bank::PATIENCE).await.unwrap();
    super::bank::state_when(&projections, |state| *state == ProjectionState::Live).await;
    let status = projections.status().await.unwrap().remove(0);
    assert_eq!((status.lag, status.cursor, status.head), (0, last, last));
    let line = status.to_string();
    assert!(line.starts_with("balances v1: live, 100 of 100 events, ") && line.ends_with("/s"), "{line}");
}
