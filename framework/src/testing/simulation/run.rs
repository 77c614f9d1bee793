//! Runs an app from life to life.

use std::{rc::Rc, sync::Arc, time::Duration};

use annalist_core::{EventStore as _, Position, Read, RecordedEvent};
use futures_util::future::{LocalBoxFuture, join_all};
use tokio::{runtime, select, time::sleep};

use super::{
    client::Client,
    life::{Life, LifeEnv, World},
    random::Random,
    rows::LifeRows,
    store::LifeStore,
};
use crate::{
    app::{App, AppBuilder, Store},
    projection::InPlace,
};

/// How often an app that does not start is started again: it may have met failures, but not as often as this.
const STARTS_MAX: u32 = 200;

/// For so many rests an app may still do something before it is said that it never comes to rest.
const RESTS_MAX: u32 = 10_000;

/// The usage of the seed for the plan of a run; clients count from 1.
const PLAN: u64 = u64::MAX;

/// A simulated run of the app that `wire` puts together from a store. It is called once for each life of the app; time,
/// ids and randomness are the simulation's. [The module](super) has an example.
///
/// Unless told otherwise, the app dies up to three times and two of a hundred calls to its store fail.
pub fn simulate<'a>(seed: u64, wire: impl Fn(Store) -> AppBuilder + 'a) -> Simulation<'a> {
    Simulation {
        seed,
        wire: Box::new(wire),
        clients: Vec::new(),
        deaths_max: 3,
        faults_per_mille: 20,
        rest: Duration::from_hours(1),
        death: None,
    }
}

/// When, at a durable step, a process dies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// The step is not done.
    Before,
    /// The step is done, and nobody hears of it.
    After,
}

/// See [`simulate`].
pub struct Simulation<'a> {
    seed: u64,
    wire: Box<dyn Fn(Store) -> AppBuilder + 'a>,
    clients: Vec<Box<dyn Fn(Client) -> LocalBoxFuture<'a, ()> + 'a>>,
    deaths_max: u64,
    faults_per_mille: u64,
    rest: Duration,
    death: Option<(u64, Moment)>,
}

/// What came of a simulated run.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Simulated {
    /// How often the app died.
    pub deaths: u64,
    /// How many durable steps its last life took, or its only one.
    pub steps: u64,
    /// How many calls to the store failed.
    pub faults: u64,
    /// All events, in order.
    pub log: Vec<RecordedEvent>,
}

impl std::fmt::Debug for Simulation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulation").field("seed", &self.seed).finish_non_exhaustive()
    }
}

impl<'a> Simulation<'a> {
    /// Adds so many clients that all do this, at the same time. Their work is done again in each life.
    #[must_use]
    pub fn clients(mut self, count: usize, work: impl AsyncFn(Client) + 'a) -> Self {
        let work = Rc::new(work);
        self.clients.extend((0..count).map(|_| -> Box<dyn Fn(Client) -> LocalBoxFuture<'a, ()> + 'a> {
            let work = Rc::clone(&work);
            Box::new(move |client| {
                let work = Rc::clone(&work);
                Box::pin(async move { work(client).await })
            })
        }));
        self
    }

    /// The app dies up to so many times; how often, and when, the seed says.
    #[must_use]
    pub const fn deaths_max(mut self, deaths: u64) -> Self {
        self.deaths_max = deaths;
        self
    }

    /// The app dies once, at this durable step of its first life, counted from 1; not at all if it takes fewer.
    #[must_use]
    pub const fn dies_at(mut self, step: u64, moment: Moment) -> Self {
        self.death = Some((step, moment));
        self
    }

    /// Of a thousand calls to the store so many fail; of those that append, half are recorded all the same.
    #[must_use]
    pub const fn faults_per_mille(mut self, faults: u64) -> Self {
        self.faults_per_mille = faults;
        self
    }

    /// The app is at rest when it has done nothing durable for so long, in virtual time: longer than any timer or pause that
    /// the run is to wait for. One hour unless told otherwise.
    #[must_use]
    pub const fn rest(mut self, rest: Duration) -> Self {
        self.rest = rest;
        self
    }

    /// Runs it to its end: from life to life, then the last one until all clients have done their work and the app is at
    /// rest; then nothing fails any more, and `check` looks at the app.
    ///
    /// # Panics
    /// When a client or `check` does, when the app cannot be started, and when it does not come to rest. The seed is
    /// printed then.
    pub fn run(self, check: impl AsyncFn(&App)) -> Simulated {
        let _in_place = InPlace::begin();
        let _named = Named(self.seed);
        let world = World::new(self.seed);
        let (mut deaths, mut faults) = (0, 0);
        for end in self.plan() {
            let (life, died) = self.live(&world, Some(end), async |_| {});
            deaths += u64::from(died);
            faults += life.faults();
        }
        let (life, _) = self.live(&world, None, check);
        let log = on_runtime(async { whole_log(&world).await });
        Simulated { deaths, steps: life.steps(), faults: faults + life.faults(), log }
    }

    /// How the lives before the last one end.
    fn plan(&self) -> Vec<(u64, Moment)> {
        if let Some(death) = self.death {
            return vec![death];
        }
        let mut random = Random::new(self.seed, PLAN);
        let deaths = random.below(self.deaths_max + 1);
        let mut death = || {
            // Early and late deaths alike: first the magnitude, then the number.
            let magnitude = 1 << random.below(10);
            let moment = if random.below(2) == 0 { Moment::Before } else { Moment::After };
            (1 + random.below(magnitude), moment)
        };
        (0..deaths).map(|_| death()).collect()
    }

    /// One life; says whether it ended by death.
    fn live(&self, world: &Arc<World>, end: Option<(u64, Moment)>, check: impl AsyncFn(&App)) -> (Arc<Life>, bool) {
        on_runtime(async {
            let end = end.map(|(step, moment)| (step, moment == Moment::After));
            let life = Life::begin(world, end, self.faults_per_mille);
            let died = select! {
                biased;
                () = life.died() => true,
                () = self.lived(&life, check) => false,
            };
            world.clock.stop();
            (life, died)
        })
        // The runtime is gone by now, and with it every task, wherever it stood.
    }

    async fn lived(&self, life: &Arc<Life>, check: impl AsyncFn(&App)) {
        let app = self.start(life).await;
        let works = self.clients.iter().enumerate().map(|(number, work)| {
            let client = Client::new(app.clone(), number, self.seed);
            work(client)
        });
        join_all(works).await;
        self.come_to_rest(life).await;
        life.calm();
        self.come_to_rest(life).await;
        check(&app).await;
        if let Err(error) = app.shutdown().await {
            panic!("the app does not shut down: {error}");
        }
    }

    async fn start(&self, life: &Arc<Life>) -> App {
        let mut starts = 0;
        loop {
            let store = Store::new(LifeStore(Arc::clone(life)), Arc::new(LifeRows(Arc::clone(life))));
            let env = LifeEnv(Arc::clone(&life.world));
            match (self.wire)(store).with_env(env).start().await {
                Ok(app) => return app,
                Err(error) => {
                    starts += 1;
                    assert!(starts < STARTS_MAX, "the app does not start: {error:?}");
                    sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }

    async fn come_to_rest(&self, life: &Life) {
        for _ in 0..RESTS_MAX {
            let steps = life.steps();
            sleep(self.rest).await;
            if life.steps() == steps {
                return;
            }
        }
        panic!("the app does not come to rest: it still does something every {:?}", self.rest);
    }
}

fn on_runtime<T>(run: impl Future<Output = T>) -> T {
    let runtime = runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    match runtime {
        Ok(runtime) => runtime.block_on(run),
        Err(error) => panic!("there is no runtime: {error}"),
    }
}

async fn whole_log(world: &World) -> Vec<RecordedEvent> {
    let mut log = Vec::new();
    let mut batches = match world.events.read(Read::all(Position::ZERO)).await {
        Ok(batches) => batches,
        Err(error) => panic!("the log cannot be read: {error}"),
    };
    while let Ok(batch) = batches.next().await
        && !batch.is_empty()
    {
        log.extend(batch);
    }
    log
}

/// Says which seed it was when something goes wrong.
struct Named(u64);

impl Drop for Named {
    #[expect(clippy::print_stderr, reason = "that is where a failing test says why")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the simulation had the seed {}", self.0);
        }
    }
}
