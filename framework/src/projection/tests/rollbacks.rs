//! A view that was replaced can come back, caught up, until it is released.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::bank::{AccountEvent, PATIENCE, TOTALS, World, count, movements, sum};
use crate::{
    event::Recorded,
    projection::{
        ApplyError, Embedded, Projection, Projections, RebuildError, RebuildOptions, Tx, ViewHandle,
        embedded::Embedded as Model,
    },
};

/// Counts twice when it is told to: what a mistake looks like that comes into place with a rebuild.
#[derive(Clone, Default)]
struct Mistaken {
    twice: Arc<AtomicBool>,
}

impl Projection for Mistaken {
    const NAME: &'static str = "mistaken";
    const VERSION: u32 = 1;
    type Event = AccountEvent;
    type Model = Embedded;

    async fn apply(&self, event: &Recorded<AccountEvent>, tx: &mut Tx) -> Result<(), ApplyError> {
        if self.twice.load(Ordering::SeqCst) {
            count(event, tx)?;
        }
        count(event, tx)
    }
}

/// 100 events, counted right by the view that was kept and twice by the one that is in place.
async fn rebuilt_with_a_mistake(world: &World) -> (Projections, Mistaken, ViewHandle) {
    let last = world.record(movements(100)).await;
    let mistaken = Mistaken::default();
    let projections = world.start(mistaken.clone()).await;
    projections.reached::<Mistaken>(last, PATIENCE).await.unwrap();
    mistaken.twice.store(true, Ordering::SeqCst);
    let options = RebuildOptions::default().keep_previous();
    projections.of::<Mistaken>().unwrap().rebuild(options).await.unwrap();
    let view = projections.view::<Mistaken>().unwrap();
    assert_eq!(view.get(&TOTALS, &()).await.unwrap(), Some((200, 2 * sum(100))));
    mistaken.twice.store(false, Ordering::SeqCst);
    (projections, mistaken, view)
}

#[tokio::test]
async fn one_can_roll_back_to_the_view_before_and_forth_again() {
    let world = World::new();
    let (projections, _, view) = rebuilt_with_a_mistake(&world).await;
    let last = world.record(movements(10)).await;
    assert_eq!(view.after(last).get(&TOTALS, &()).await.unwrap(), Some((210, 2 * sum(100) + sum(10))));

    let control = projections.named("mistaken").unwrap();
    let back = control.roll_back().await.unwrap().await.unwrap();
    assert_eq!((back.cursor, back.events), (last, 10), "it had only to catch up");
    assert_eq!(view.after(last).get(&TOTALS, &()).await.unwrap(), Some((110, sum(100) + sum(10))));
    let last = world.record(movements(10)).await;
    assert_eq!(view.after(last).get(&TOTALS, &()).await.unwrap(), Some((120, sum(100) + 2 * sum(10))));

    control.roll_back().await.unwrap().await.unwrap();
    assert_eq!(view.after(last).get(&TOTALS, &()).await.unwrap(), Some((220, 2 * sum(100) + 2 * sum(10))));
}

#[tokio::test]
async fn a_kept_view_survives_restarts_until_it_is_released() {
    let world = World::new();
    let (projections, mistaken, _) = rebuilt_with_a_mistake(&world).await;
    let rows = world.raw_rows().len();
    assert!(projections.shutdown().await);
    let projections = world.start(mistaken.clone()).await;
    assert_eq!(world.raw_rows().len(), rows);
    let control = projections.of::<Mistaken>().unwrap();
    control.roll_back().await.unwrap().await.unwrap();
    let view = projections.view::<Mistaken>().unwrap();
    assert_eq!(view.get(&TOTALS, &()).await.unwrap(), Some((100, sum(100))));
    control.release_previous().await.unwrap();
    // What names the live instance, its note, its rows.
    assert_eq!(world.raw_rows().len(), 1 + 1 + 8);
    let none = control.roll_back().await.unwrap_err();
    assert_eq!(none, RebuildError::NoPrevious { name: "mistaken".to_owned() });
    assert_eq!(control.release_previous().await, Err(none));
}

#[tokio::test]
async fn at_most_one_view_is_kept() {
    let world = World::new();
    let (projections, _, view) = rebuilt_with_a_mistake(&world).await;
    let control = projections.of::<Mistaken>().unwrap();
    let rows = world.raw_rows().len();
    control.rebuild(RebuildOptions::default().keep_previous()).await.unwrap();
    assert_eq!(world.raw_rows().len(), rows);
    assert_eq!(view.get(&TOTALS, &()).await.unwrap(), Some((100, sum(100))));
    control.rebuild(RebuildOptions::default()).await.unwrap();
    assert!(matches!(control.roll_back().await, Err(RebuildError::NoPrevious { .. })));
    assert_eq!(world.raw_rows().len(), 1 + 1 + 8);
}

#[tokio::test]
async fn a_new_version_in_place_drops_what_the_old_one_kept() {
    let world = World::new();
    let (projections, ..) = rebuilt_with_a_mistake(&world).await;
    assert!(projections.shutdown().await);
    let next = Model::open_now(world.views.clone(), "mistaken", 2).unwrap();
    assert_eq!(next.kept_now().unwrap().len(), 0, "what is kept is of the old version");
    next.promote_now(false).unwrap();
    assert_eq!(world.raw_rows().len(), 2);
}
