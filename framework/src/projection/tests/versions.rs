//! A new version of a projection replays into a view of its own; the old one stays until that is complete.

use annalist_core::Cursor;

use super::bank::{AccountEvent, Balances, Moody, TOTALS, World, count, movements, sum};
use crate::{
    event::Recorded,
    projection::{ApplyError, Embedded, Projection, ProjectionState, Table, Tx, embedded::Embedded as Model},
};

/// The next version of [`Balances`]: its rows have another type.
struct BalancesInText;

const TOTALS_IN_TEXT: Table<(), String> = Table::new("totals");

impl Projection for BalancesInText {
    const NAME: &'static str = Balances::NAME;
    const VERSION: u32 = 2;
    type Event = AccountEvent;
    type Model = Embedded;

    async fn apply(&self, event: &Recorded<AccountEvent>, tx: &mut Tx) -> Result<(), ApplyError> {
        tx.update(&TOTALS_IN_TEXT, &(), |text| text.push('|'))?;
        if event.record.position.get() == 90 {
            return Err(ApplyError::new("the new version has a mistake"));
        }
        Ok(())
    }
}

/// A version that is right.
struct BalancesMended;

impl Projection for BalancesMended {
    const NAME: &'static str = Balances::NAME;
    const VERSION: u32 = 3;
    type Event = AccountEvent;
    type Model = Embedded;

    async fn apply(&self, event: &Recorded<AccountEvent>, tx: &mut Tx) -> Result<(), ApplyError> {
        count(event, tx)
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_version_replays_and_the_old_view_waits_for_a_rollback() {
    let world = World::new();
    let first = world.record(movements(100)).await;
    let projections = world.start(Balances).await;
    projections.view::<Balances>().unwrap().after(first).ready().await.unwrap();
    assert!(projections.shutdown().await);

    // Version 2 fails before it is complete: nobody reads its half of a view.
    let projections = world.start(BalancesInText).await;
    super::bank::state_when(&projections, |state| matches!(state, ProjectionState::Failed { .. })).await;
    let refused = projections.view::<BalancesInText>().unwrap().get(&TOTALS_IN_TEXT, &()).await.unwrap_err();
    assert!(refused.to_string().contains("failed at event 90"), "{refused}");
    assert!(projections.shutdown().await);

    // Version 1 comes back and finds its view, without a replay.
    let projections = world.start(Balances).await;
    let view = projections.view::<Balances>().unwrap();
    assert_eq!(view.cursor(), first);
    assert_eq!(view.get(&TOTALS, &()).await.unwrap(), Some((100, sum(100))));
    assert!(projections.shutdown().await);
    let rows = world.raw_rows().len();

    // Version 3 completes and replaces it.
    let projections = world.start(BalancesMended).await;
    let view = projections.view::<BalancesMended>().unwrap();
    assert_eq!(view.after(first).get(&TOTALS, &()).await.unwrap(), Some((100, sum(100))));
    assert_eq!(world.raw_rows().len(), rows);
    assert!(projections.shutdown().await);
}

#[tokio::test(start_paused = true)]
async fn a_first_replay_that_was_interrupted_goes_on_where_it_was() {
    let world = World::new();
    world.record(movements(100)).await;
    let moody = Moody::failing(60, u64::MAX);
    let projections = world.start(moody).await;
    super::bank::state_when(&projections, |state| matches!(state, ProjectionState::Failed { .. })).await;
    assert!(projections.shutdown().await);
    let model = Model::open_now(world.views.clone(), Moody::NAME, Moody::VERSION).unwrap();
    assert_eq!((model.cursor_now().unwrap().position.get(), model.is_live_now()), (59, Ok(false)));
}

#[tokio::test]
async fn instances_are_made_promoted_and_dropped() {
    let world = World::new();
    let open = |version| Model::open_now(world.views.clone(), "balances", version).unwrap();
    let first = open(1);
    assert_eq!((first.cursor_now(), first.is_live_now()), (Ok(Cursor::START), Ok(false)));
    first.promote_now(false).unwrap();
    let shadow = first.shadow_now().unwrap();
    assert!(first.discard_now().is_err(), "the live instance stays");
    shadow.promote_now(false).unwrap();
    assert_eq!((first.is_live_now(), shadow.is_live_now()), (Ok(false), Ok(true)));
    assert!(first.cursor_now().is_err(), "the instance before it is gone");
    shadow.shadow_now().unwrap().discard_now().unwrap();
    // The live row and one instance.
    assert_eq!(world.raw_rows().len(), 2);
    assert_eq!(open(1).is_live_now(), Ok(true));
    assert_eq!(open(2).is_live_now(), Ok(false));
}
