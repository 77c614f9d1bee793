//! How far behind a view is, in events and in time.

use std::{sync::Arc, time::Duration};

use annalist_core::{Position, Read};

use super::bank::{Moody, PATIENCE, World, movements, state_when};
use crate::{
    env::TestEnv,
    projection::{ProjectionSet, ProjectionState},
};

#[tokio::test(start_paused = true)]
async fn the_lag_is_the_age_of_the_first_event_that_the_view_has_not_seen() {
    let world = World::new();
    world.record(movements(100)).await;
    let mut events = world.log.read(Read::all(Position::new(39)).limit(1)).await.unwrap();
    let at_40 = events.next().await.unwrap().remove(0).time;
    let env = TestEnv::at(at_40);
    let mut set = ProjectionSet::new(Arc::clone(&world.log), Arc::clone(&world.views), Arc::new(env.clone()));
    let moody = Moody::failing(40, u64::MAX);
    set.register(moody.clone());
    let projections = set.with_options(world.options.clone()).start().await.unwrap();
    state_when(&projections, |state| matches!(state, ProjectionState::Failed { .. })).await;

    env.advance(Duration::from_secs(90));
    let control = projections.of::<Moody>().unwrap();
    let status = control.status().await.unwrap();
    assert_eq!((status.lag, status.lag_time), (61, Duration::from_secs(90)));
    assert_eq!(status.errors, u64::from(world.options.attempts_max));
    assert!(status.last_error.as_ref().unwrap().ends_with("not in the mood"), "{status:?}");
    assert!(status.to_string().contains(", 61 behind by 90.0 s"), "{status}");

    moody.failures.store(0, std::sync::atomic::Ordering::SeqCst);
    projections.rebuild::<Moody>().await.unwrap();
    projections.reached::<Moody>(status.head, PATIENCE).await.unwrap();
    let status = control.status().await.unwrap();
    assert_eq!((status.lag, status.lag_time), (0, Duration::ZERO));
}
