//! What outlives a process, and the process itself: its clock, its moods and its end.

use std::{
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use annalist_core::{StoreId, Timestamp};
use annalist_memory::MemoryStore;
use tokio::{
    sync::{Notify, watch},
    task::yield_now,
    time::{Instant, sleep},
};
use uuid::Uuid;

use super::random::Random;
use crate::{
    env::{Env, TestEnv},
    projection::MemoryKeyValue,
};

/// What stands on the disk, so to speak, and what all processes have in common.
pub(super) struct World {
    pub(super) events: MemoryStore,
    pub(super) rows: MemoryKeyValue,
    pub(super) clock: Clock,
    /// Told after each append.
    pub(super) news: Notify,
    random: Mutex<Random>,
}

impl World {
    pub(super) fn new(seed: u64) -> Arc<Self> {
        let clock = Clock::default();
        let (id, time) = (StoreId::new(Uuid::from_u128(u128::from(seed))), clock.clone());
        Arc::new(Self {
            events: MemoryStore::with(id, Arc::new(move || time.now())),
            rows: MemoryKeyValue::new(),
            clock,
            news: Notify::new(),
            random: Mutex::new(Random::new(seed, 0)),
        })
    }

    pub(super) fn random(&self) -> MutexGuard<'_, Random> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Time that follows Tokio's paused clock and goes on from process to process.
#[derive(Clone, Default)]
pub(super) struct Clock(Arc<Mutex<(Duration, Option<Instant>)>>);

impl Clock {
    /// A process begins: Tokio's clock begins with it.
    fn start(&self) {
        let mut clock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clock.1 = Some(Instant::now());
    }

    /// A process ends.
    pub(super) fn stop(&self) {
        let mut clock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lived = clock.1.take().map_or(Duration::ZERO, |started| started.elapsed());
        clock.0 += lived;
    }

    pub(super) fn now(&self) -> Timestamp {
        let clock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = clock.0 + clock.1.map_or(Duration::ZERO, |started| started.elapsed());
        let micros = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_micros(TestEnv::START.as_micros().saturating_add(micros))
    }
}

/// What a process counts.
#[derive(Default)]
struct Counts {
    steps: u64,
    faults: u64,
    /// Whether nothing fails any more.
    calm: bool,
}

/// One process. Its stores ask it whether it still lives.
pub(super) struct Life {
    pub(super) world: Arc<World>,
    /// At which of its durable steps it dies, counted from 1, and whether that step is still done.
    end: Option<(u64, bool)>,
    /// Of a thousand calls so many fail.
    faults_per_mille: u64,
    counts: Mutex<Counts>,
    dead: watch::Sender<bool>,
}

impl Life {
    /// Begins a process; must be called on its runtime.
    pub(super) fn begin(world: &Arc<World>, end: Option<(u64, bool)>, faults_per_mille: u64) -> Arc<Self> {
        world.clock.start();
        let (world, counts, dead) = (Arc::clone(world), Mutex::default(), watch::Sender::new(false));
        Arc::new(Self { world, end, faults_per_mille, counts, dead })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many durable steps were done.
    pub(super) fn steps(&self) -> u64 {
        self.counts().steps
    }

    /// How many calls failed.
    pub(super) fn faults(&self) -> u64 {
        self.counts().faults
    }

    /// From now on nothing fails.
    pub(super) fn calm(&self) {
        self.counts().calm = true;
    }

    /// Waits until the process is dead.
    pub(super) async fn died(&self) {
        // The sender lives as long as `self`.
        _ = self.dead.subscribe().wait_for(|dead| *dead).await;
    }

    pub(super) fn is_dead(&self) -> bool {
        *self.dead.borrow()
    }

    /// The dead do nothing any more.
    pub(super) async fn alive(&self) {
        if self.is_dead() {
            pending::<()>().await;
        }
    }

    /// Lets others go first, for a while or for long, as it happens.
    pub(super) async fn linger(&self) {
        self.alive().await;
        let (kind, long) = {
            let mut random = self.world.random();
            (random.below(8), random.below(20))
        };
        match kind {
            0..=2 => {}
            3..=6 => {
                for _ in 0..kind {
                    yield_now().await;
                }
            }
            _ => sleep(Duration::from_millis(long)).await,
        }
        self.alive().await;
    }

    /// Whether this call fails.
    pub(super) fn fails(&self) -> bool {
        let mut counts = self.counts();
        let fails = !counts.calm && self.world.random().below(1000) < self.faults_per_mille;
        counts.faults += u64::from(fails);
        fails
    }

    /// A durable step, as far as the process lives to do it: `None` if it does not.
    pub(super) fn step<T>(&self, step: impl FnOnce() -> T) -> Option<T> {
        let mut counts = self.counts();
        if self.is_dead() {
            return None;
        }
        counts.steps += 1;
        match self.end {
            Some((end, still_done)) if counts.steps == end => {
                if still_done {
                    step();
                }
                self.dead.send_replace(true);
                None
            }
            _ => Some(step()),
        }
    }
}

/// Time, ids and jitter of a process.
pub(super) struct LifeEnv(pub(super) Arc<World>);

impl Env for LifeEnv {
    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn new_id(&self) -> Uuid {
        let mut random = self.0.random();
        Uuid::from_u128(u128::from(random.next()) << 64 | u128::from(random.next()))
    }

    fn jitter(&self) -> f64 {
        self.0.random().fraction()
    }

    fn program(&self) -> u64 {
        // All lives are of the same.
        0
    }
}
