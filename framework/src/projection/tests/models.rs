//! A read model that is not the embedded one, and loses the answer to a commit.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use annalist_core::Cursor;

use super::bank::{AccountEvent, Balances, PATIENCE, World, movements, state_when, sum};
use crate::{
    event::Recorded,
    projection::{
        ApplyError, ModelError, OnFailure, ParkedError, Projection, ProjectionState, ReadModel, RebuildError,
        RebuildOptions, StartError, ViewError,
    },
};

#[derive(Clone, Copy, Default, Debug, PartialEq)]
struct Sum {
    events: u64,
    sum: i64,
}

/// One sum and its cursor per instance, as a table of a database would hold them.
#[derive(Default)]
struct Database {
    instances: Mutex<Vec<Option<(Cursor, Sum)>>>,
    live: Mutex<Option<usize>>,
    loses_next_answer: AtomicBool,
    /// How many of the next transactions cannot begin.
    away: AtomicU32,
    /// Nobody answers whatever is asked.
    out: AtomicBool,
    /// Where somebody else puts the only instance before the next commit, which fails.
    moves_to: Mutex<Option<(Cursor, Sum)>>,
    /// Somebody else has taken it over.
    fenced: AtomicBool,
}

#[derive(Clone)]
struct SumModel {
    database: Arc<Database>,
    number: usize,
}

impl SumModel {
    fn new(database: &Arc<Database>) -> Self {
        let mut instances = database.instances.lock().unwrap();
        instances.push(Some((Cursor::START, Sum::default())));
        Self { database: Arc::clone(database), number: instances.len() - 1 }
    }

    fn state(&self) -> Option<(Cursor, Sum)> {
        self.database.instances.lock().unwrap()[self.number]
    }

    fn reach(&self) -> Result<(), ModelError> {
        if self.database.out.load(Ordering::SeqCst) {
            Err(ModelError::Unavailable("nobody answers".into()))
        } else {
            Ok(())
        }
    }
}

struct SumTx(SumModel, Sum);

impl ReadModel for SumModel {
    type Tx = SumTx;

    async fn cursor(&self) -> Result<Cursor, ModelError> {
        self.reach()?;
        Ok(self.state().unwrap().0)
    }

    async fn is_live(&self) -> Result<bool, ModelError> {
        self.reach()?;
        Ok(*self.database.live.lock().unwrap() == Some(self.number))
    }

    async fn begin(&self) -> Result<(SumTx, Cursor), ModelError> {
        self.reach()?;
        if self.database.fenced.load(Ordering::SeqCst) {
            return Err(ModelError::Fenced { detail: "by a test".to_owned() });
        }
        if self.database.away.try_update(Ordering::SeqCst, Ordering::SeqCst, |away| away.checked_sub(1)).is_ok() {
            return Err(ModelError::Unavailable("nobody answers".into()));
        }
        let (cursor, sum) = self.state().unwrap();
        Ok((SumTx(self.clone(), sum), cursor))
    }

    async fn commit(SumTx(model, sum): SumTx, cursor: Cursor) -> Result<(), ModelError> {
        if let Some(elsewhere) = model.database.moves_to.lock().unwrap().take() {
            let found = elsewhere.0;
            model.database.instances.lock().unwrap()[model.number] = Some(elsewhere);
            return Err(ModelError::Moved { known: cursor, found });
        }
        model.database.instances.lock().unwrap()[model.number] = Some((cursor, sum));
        if model.database.loses_next_answer.swap(false, Ordering::SeqCst) {
            return Err(ModelError::Other("the connection broke".into()));
        }
        Ok(())
    }

    async fn shadow(&self) -> Result<Self, ModelError> {
        self.reach()?;
        Ok(Self::new(&self.database))
    }

    async fn promote(&self) -> Result<(), ModelError> {
        let before = self.database.live.lock().unwrap().replace(self.number);
        if let Some(before) = before {
            self.database.instances.lock().unwrap()[before] = None;
        }
        Ok(())
    }

    async fn discard(&self) -> Result<(), ModelError> {
        self.database.instances.lock().unwrap()[self.number] = None;
        Ok(())
    }
}

struct Sums;

impl Projection for Sums {
    const NAME: &'static str = "sums";
    const VERSION: u32 = 1;
    type Event = AccountEvent;
    type Model = SumModel;

    async fn apply(&self, event: &Recorded<AccountEvent>, tx: &mut SumTx) -> Result<(), ApplyError> {
        tx.1.events += 1;
        match event.event {
            AccountEvent::Deposited(amount) => tx.1.sum += amount,
            AccountEvent::Withdrawn(amount) => tx.1.sum -= amount,
        }
        Ok(())
    }
}

fn live(database: &Database) -> Sum {
    let number = database.live.lock().unwrap().unwrap();
    database.instances.lock().unwrap()[number].unwrap().1
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_was_lost_is_not_made_twice() {
    let world = World::new();
    let database = Arc::new(Database::default());
    let mut set = world.set();
    set.register_with(Sums, SumModel::new(&database));
    let projections = set.start().await.unwrap();
    for round in 1..=3 {
        database.loses_next_answer.store(true, Ordering::SeqCst);
        let last = world.record(movements(100)).await;
        projections.reached::<Sums>(last, PATIENCE).await.unwrap();
        assert_eq!(live(&database), Sum { events: 100 * round, sum: round.cast_signed() * sum(100) });
    }
    let before = live(&database);
    let control = projections.of::<Sums>().unwrap();
    let refused = control.rebuild(RebuildOptions::default().keep_previous()).await.unwrap_err();
    assert_eq!(refused, RebuildError::CannotKeep { name: "sums".to_owned() });
    assert_eq!(projections.rebuild::<Sums>().await.unwrap().events, 300);
    assert_eq!(live(&database), before);
    assert_eq!(database.instances.lock().unwrap().iter().flatten().count(), 1);
}

#[tokio::test]
async fn a_model_that_cannot_park_is_refused_to_a_projection_that_parks() {
    struct Parking;
    impl Projection for Parking {
        const NAME: &'static str = "parking";
        const VERSION: u32 = 1;
        type Event = AccountEvent;
        type Model = SumModel;

        async fn apply(&self, _: &Recorded<AccountEvent>, _: &mut SumTx) -> Result<(), ApplyError> {
            Ok(())
        }

        fn on_failure(&self) -> OnFailure {
            OnFailure::park()
        }
    }

    let mut set = World::new().set();
    set.register_with(Parking, SumModel::new(&Arc::default()));
    let refused = set.start().await.unwrap_err();
    assert!(matches!(refused, StartError::CannotPark { name: "parking" }), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn an_outage_does_not_use_up_the_attempts() {
    let world = World::new();
    let database = Arc::new(Database::default());
    let mut set = world.set();
    set.register_with(Sums, SumModel::new(&database));
    let projections = set.start().await.unwrap();
    let last = world.record(movements(10)).await;
    projections.reached::<Sums>(last, PATIENCE).await.unwrap();
    let attempts = 10 * world.options.attempts_max;
    database.away.store(attempts, Ordering::SeqCst);
    let last = world.record(movements(10)).await;
    // Ten seconds at most between two attempts.
    projections.reached::<Sums>(last, Duration::from_secs(20) * attempts).await.unwrap();
    assert_eq!(live(&database), Sum { events: 20, sum: 2 * sum(10) });
    assert_eq!(database.away.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_projection_starts_without_its_store_and_others_do_not_wait_for_it() {
    let world = World::new();
    let last = world.record(movements(10)).await;
    let database = Arc::new(Database::default());
    let mut set = world.set();
    let model = SumModel::new(&database);
    database.out.store(true, Ordering::SeqCst);
    set.register_with(Sums, model);
    set.register(Balances);
    let projections = set.start().await.unwrap();
    projections.reached::<Balances>(last, PATIENCE).await.unwrap();

    let control = projections.of::<Sums>().unwrap();
    let status = control.status().await.unwrap();
    let waiting = "sums v1: waiting for its store since 2024-01-01T00:00:00.000000Z: \
                   the store of the read model cannot be reached: nobody answers, 0 of 10 events, 10 behind";
    assert!(status.to_string().starts_with(waiting), "{status}");
    let unavailable = projections.reached::<Sums>(last, PATIENCE).await.unwrap_err();
    assert!(matches!(unavailable, ViewError::Unavailable { name: "sums", .. }), "{unavailable:?}");
    assert!(unavailable.to_string().contains("nobody answers"), "{unavailable}");
    // Whoever asks is answered meanwhile.
    let parked = control.retry_parked("account-1").await.unwrap_err();
    assert!(matches!(&parked, ParkedError::OutOfReach { error, .. } if error.contains("nobody answers")), "{parked:?}");

    database.out.store(false, Ordering::SeqCst);
    projections.reached::<Sums>(last, PATIENCE).await.unwrap();
    assert_eq!(live(&database).events, 10);
    let state = state_when(&projections, |state| *state == ProjectionState::Live).await;
    assert_eq!(state, ProjectionState::Live);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_seen_in_the_status_of_view_and_rebuild_and_both_go_on() {
    let world = World::new();
    let database = Arc::new(Database::default());
    let mut set = world.set();
    set.register_with(Sums, SumModel::new(&database));
    let projections = set.start().await.unwrap();
    let last = world.record(movements(1000)).await;
    projections.reached::<Sums>(last, PATIENCE).await.unwrap();
    let slowly = RebuildOptions::default().events_per_second_max(1000);
    let mut rebuild = projections.of::<Sums>().unwrap().rebuild(slowly);
    rebuild.progress().wait_for(|progress| progress.done > 0).await.unwrap();

    database.out.store(true, Ordering::SeqCst);
    let last = world.record(movements(10)).await;
    state_when(&projections, |state| matches!(state, ProjectionState::Waiting { .. })).await;
    let progress = rebuild.progress().wait_for(|progress| progress.waiting).await.unwrap().to_string();
    assert!(progress.ends_with(", waiting for its store"), "{progress}");
    let ended = tokio::time::timeout(100 * PATIENCE, &mut rebuild).await;
    assert!(ended.is_err(), "an outage is waited for as long as it takes: {ended:?}");

    database.out.store(false, Ordering::SeqCst);
    assert_eq!(rebuild.await.unwrap().events, 1010);
    projections.reached::<Sums>(last, PATIENCE).await.unwrap();
    assert_eq!(live(&database).events, 1010);
    assert_eq!(database.instances.lock().unwrap().iter().flatten().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_fenced_stops_at_once_and_says_so() {
    let world = World::new();
    let database = Arc::new(Database::default());
    let mut set = world.set();
    set.register_with(Sums, SumModel::new(&database));
    let projections = set.start().await.unwrap();
    let last = world.record(movements(10)).await;
    projections.reached::<Sums>(last, PATIENCE).await.unwrap();
    database.fenced.store(true, Ordering::SeqCst);
    let last = world.record(movements(10)).await;
    let stopped = projections.reached::<Sums>(last, PATIENCE).await.unwrap_err();
    assert!(stopped.to_string().contains("another writer"), "{stopped}");
    assert_eq!(live(&database).events, 10);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_found_elsewhere_is_filled_from_there() {
    let world = World::new();
    let database = Arc::new(Database::default());
    let mut set = world.set();
    set.register_with(Sums, SumModel::new(&database));
    let projections = set.start().await.unwrap();
    let end = world.record(movements(400)).await;
    projections.reached::<Sums>(end, PATIENCE).await.unwrap();
    let at = |position| end.at(annalist_core::Position::new(position));
    // Put back behind what was committed; and ahead of the batch, even of events that are not read yet.
    for (elsewhere, total) in [(7, 500), (590, 600), (613, 700)] {
        let there = Sum { events: elsewhere, sum: 0 };
        *database.moves_to.lock().unwrap() = Some((at(elsewhere), there));
        let last = world.record(movements(100)).await;
        assert_eq!(last, at(total));
        let waited = projections.reached::<Sums>(last, PATIENCE).await;
        waited.unwrap();
        assert_eq!(live(&database).events, total, "from {elsewhere} on, each event once");
    }
}
