//! Several transactions write a view at the same time: each event is applied once and in the order of its key, whenever the
//! service ends and however many there are the next time.
#![allow(clippy::unwrap_used, reason = "the cases are tests, though generics make them so")]

mod support;

use std::time::Duration;

use annalist::projection::{OnFailure, Partition, Projection, ProjectionState, ReadModel as _};
use annalist_core::{Cursor, Position};
use annalist_sql::sqlx;
use support::{Applied, Ledger, LedgerInPartitions as In, PATIENCE, Picky, Server, World, failed, state_when, within};
use tokio::task::JoinSet;

/// What every projection makes of the log of `1 ..= count`.
fn all(count: i64) -> Applied {
    let of = |account: i64| (1..=count).filter(|amount| amount.rem_euclid(7) == account).collect::<Vec<_>>();
    (0..7).map(|account| (format!("account-{account}"), of(account))).collect()
}

/// How many partitions are ahead of the cursor, as a stranger sees it.
async fn ahead(server: &Server) -> i64 {
    let ahead = "select count(*) from annalist.partitions p join annalist.views v using (instance) \
                 where p.position > v.position";
    sqlx::query_scalar(ahead).fetch_one(&mut server.connection().await).await.unwrap()
}

/// A service in which the events of one stream are held up, and with them their partition; it is dropped when others have
/// gone on.
async fn a_life<const PARTITIONS: u16>(server: Server, world: &World, held: &'static str) -> Server {
    let (ledger, mut picky) = (In::<PARTITIONS>(server), Picky::<In<PARTITIONS>>::bad([]));
    picky.held = Some(held);
    let projections = ledger.start(world, picky.clone()).await;
    let gone_on = async {
        while picky.seen() == 0 || (PARTITIONS > 1 && ahead(&ledger.0).await == 0) {
            // A stranger comes with a connection each time.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("the others to go on", gone_on).await;
    drop(projections);
    ledger.0
}

async fn the_end<const PARTITIONS: u16>(server: Server, world: &World, last: Cursor) -> (Server, Applied) {
    let (ledger, picky) = (In::<PARTITIONS>(server), Picky::<In<PARTITIONS>>::bad([]));
    let projections = ledger.start(world, picky).await;
    projections.reached::<Picky<In<PARTITIONS>>>(last, PATIENCE).await.unwrap();
    let applied = ledger.applied(&projections).await;
    assert!(projections.shutdown().await);
    (ledger.0, applied)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_number_of_partitions_may_change_wherever_the_service_ended() {
    let (mut server, world) = (Server::start().await, World::new());
    let mut uneven = 0;
    for round in 1..=8 {
        let last = world.record((round * 40 - 39)..=(round * 40)).await;
        let held = if round % 3 == 0 { "account-1" } else { "account-4" };
        for life in 0..3 {
            server = match (round + life) % 4 {
                0 => a_life::<2>(server, &world, held).await,
                1 => a_life::<3>(server, &world, held).await,
                2 => a_life::<7>(server, &world, held).await,
                _ => a_life::<1>(server, &world, held).await,
            };
            uneven += ahead(&server).await;
        }
        if round % 2 == 0 {
            let (back, applied) = the_end::<4>(server, &world, last).await;
            assert_eq!((ahead(&back).await, applied), (0, all(round * 40)));
            server = back;
        }
    }
    assert!(uneven > 8, "it would say little if all partitions ended alike: {uneven}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_partitions_of_a_new_writer_begin_whatever_becomes_of_each_other() {
    let (ledger, world) = (In::<7>::make().await, World::new());
    let last = world.record(1..=7).await;
    let projections = ledger.start(&world, Picky::<In<7>>::bad([])).await;
    projections.reached::<Picky<In<7>>>(last, PATIENCE).await.unwrap();
    assert!(projections.shutdown().await);
    for round in 0..10 {
        let model = ledger.model();
        model.cursor().await.unwrap();
        let begin = |number| {
            let model = model.clone();
            async move { model.begin_partition(Partition { number, of: 7 }).await }
        };
        // None of the transactions ends before all have begun.
        for begun in (0..7).map(begin).collect::<JoinSet<_>>().join_all().await {
            begun.unwrap_or_else(|refused| panic!("in round {round}: {refused:?}"));
        }
    }
}

/// Stops at what it cannot apply.
struct Strict(Picky<In<3>>);

impl Projection for Strict {
    const NAME: &'static str = Picky::<In<3>>::NAME;
    const VERSION: u32 = 1;
    type Event = support::AccountEvent;
    type Model = annalist_sql::Postgres;
    const PARTITIONS: u16 = 3;

    async fn apply(
        &self,
        event: &annalist::Recorded<support::AccountEvent>,
        tx: &mut annalist_sql::PostgresTx,
    ) -> Result<(), annalist::projection::ApplyError> {
        self.0.apply(event, tx).await
    }

    fn on_failure(&self) -> OnFailure {
        OnFailure::stop().attempts(2)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_stops_goes_on_where_each_partition_is() {
    let (ledger, world, picky) = (In::<3>::make().await, World::new(), Picky::bad([33]));
    let last = world.record(1..=60).await;
    let projections = world.start(Strict(picky.clone()), ledger.model()).await;
    let state = state_when(&projections, "the projection to stop", failed).await;
    let at = Some(Position::new(33));
    assert!(matches!(&state, ProjectionState::Failed { position, .. } if *position == at), "{state}");
    assert_eq!(projections.status().await.unwrap()[0].cursor.position, Position::new(32));
    drop(projections);

    picky.mend();
    let projections = world.start(Strict(picky), ledger.model()).await;
    projections.reached::<Strict>(last, PATIENCE).await.unwrap();
    assert_eq!(ledger.applied(&projections).await, all(60));
}
