//! Time, apps and logs.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use annalist::{
    App, AppBuilder, Env, EventStore, Position, Read, RecordedEvent, Store, TestEnv, Timestamp,
    projection::MemoryKeyValue,
    saga::{InstanceState, Saga},
};
use annalist_memory::MemoryStore;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::bank::{Account, Deposit, Order, Request};

/// Time that follows Tokio's clock, which stands still or jumps in these tests.
#[derive(Clone)]
pub(crate) struct TokioEnv {
    origin: Instant,
    rest: TestEnv,
}

impl TokioEnv {
    pub(crate) fn new() -> Self {
        Self { origin: Instant::now(), rest: TestEnv::default() }
    }
}

impl Env for TokioEnv {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.origin.elapsed().as_micros()).unwrap();
        Timestamp::from_micros(TestEnv::START.as_micros() + elapsed)
    }

    fn new_id(&self) -> Uuid {
        #[expect(clippy::disallowed_methods, reason = "ids must differ from those of the processes before")]
        Uuid::now_v7()
    }

    fn jitter(&self) -> f64 {
        self.rest.jitter()
    }
}

/// A log, rows and time that outlive the apps on them.
pub(crate) struct World {
    pub(crate) memory: MemoryStore,
    pub(crate) views: Arc<MemoryKeyValue>,
    pub(crate) env: TokioEnv,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { memory: MemoryStore::new(), views: Arc::new(MemoryKeyValue::new()), env: TokioEnv::new() }
    }

    pub(crate) fn store(&self) -> Store {
        Store::new(self.memory.clone(), Arc::<MemoryKeyValue>::clone(&self.views))
    }

    pub(crate) fn app(&self) -> AppBuilder {
        App::open(self.store()).with_env(self.env.clone())
    }

    pub(crate) async fn log(&self) -> Vec<RecordedEvent> {
        let mut batches = self.memory.read(Read::all(Position::ZERO)).await.unwrap();
        let mut log = Vec::new();
        loop {
            let batch = batches.next().await.unwrap();
            if batch.is_empty() {
                return log;
            }
            log.extend(batch);
        }
    }
}

pub(crate) async fn deposit(app: &App, account: &str, cents: u64) {
    let deposit = Deposit { cents, transfer: None, closed: false };
    app.on::<Account>(account.to_owned()).execute(deposit).await.unwrap();
}

pub(crate) async fn request(app: &App, id: &str, from: &str, to: &str, cents: u64) {
    let request = Request { id: id.to_owned(), from: from.to_owned(), to: to.to_owned(), cents };
    app.on::<Order>(id.to_owned()).execute(request).await.unwrap();
}

pub(crate) async fn cents(app: &App, account: &str) -> u64 {
    app.load::<Account>(&account.to_owned()).await.unwrap().state.cents
}

pub(crate) async fn settled(app: &App, id: &str) -> Option<bool> {
    app.load::<Order>(&id.to_owned()).await.unwrap().state.settled
}

/// Waits, in virtual time, until an instance is in this state and nothing is left to be done.
pub(crate) async fn until<S: Saga>(app: &App, key: &str, state: InstanceState) {
    let saga = app.saga::<S>().unwrap();
    let reached = async {
        loop {
            if saga.instance(key).await.unwrap().is_some_and(|instance| instance.state == state) {
                return saga.idle().await.unwrap();
            }
            sleep(Duration::from_secs(5)).await;
        }
    };
    let in_time = timeout(Duration::from_hours(24), reached).await.is_ok();
    assert!(in_time, "{key} is not {state:?}: {:?}, {:?}", saga.instance(key).await, saga.status().await);
}

/// How often each input stands in the records of a saga, held ones apart.
pub(crate) fn inputs(log: &[RecordedEvent]) -> BTreeMap<String, u64> {
    let mut inputs = BTreeMap::new();
    for record in log.iter().filter(|record| record.type_name() == "saga-input-taken") {
        let payload: serde_json::Value = serde_json::from_slice(record.payload()).unwrap();
        let input = &payload["input"];
        let id = if input["id"].is_null() { &input["command"]["id"] } else { &input["id"] };
        *inputs.entry(format!("{}: {} {id}", record.stream(), input["kind"])).or_default() += 1;
    }
    inputs
}
