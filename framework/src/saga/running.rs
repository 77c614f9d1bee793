//! The sagas of a service as they run: watched, operated, shut down.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use annalist_core::{Cursor, EventStore, Position};
use annalist_metrics::{Health, Metrics};
use serde_json::Value;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    error::SagaError,
    limits::STALE_PAUSE,
    model::{EffectId, Rejection},
    operate::Operate,
    record::Audit,
    rows::{COUNTS, INSTANCES, QUARANTINED, WORK},
    status::{InstanceStatus, Progress, SagaState, SagaStatus},
    taker::Verdict,
};
use crate::projection::{Projections, ViewHandle};

/// The running sagas of a service. When the last handle is dropped without [`App::shutdown`](crate::App::shutdown), their
/// tasks are dropped too; the next start goes on.
pub struct Sagas {
    pub(super) running: Vec<Arc<Running>>,
    pub(super) rows: Option<Projections>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) tasks: Mutex<JoinSet<()>>,
    /// How long each of them may take to end.
    pub(super) grace: Duration,
}

/// One saga.
pub(super) struct Running {
    pub(super) name: &'static str,
    pub(super) version: u32,
    pub(super) events: Arc<dyn EventStore>,
    pub(super) operate: Arc<dyn Operate>,
    pub(super) rows: ViewHandle,
    pub(super) progress: watch::Receiver<Progress>,
}

impl Sagas {
    /// The saga with this declared name, to be looked at and operated.
    ///
    /// # Errors
    /// [`SagaError::Unknown`].
    pub fn named(&self, name: &str) -> Result<SagaHandle, SagaError> {
        let found = self.running.iter().find(|running| running.name == name);
        let registered = || self.running.iter().map(|running| running.name).collect::<Vec<_>>().join(", ");
        let unknown = || SagaError::Unknown { name: name.to_owned(), registered: registered() };
        Ok(SagaHandle { running: Arc::clone(found.ok_or_else(unknown)?) })
    }

    /// All sagas, in the order in which they were added.
    pub fn all(&self) -> impl Iterator<Item = SagaHandle> {
        self.running.iter().map(|running| SagaHandle { running: Arc::clone(running) })
    }

    /// How far each saga is.
    ///
    /// # Errors
    /// [`SagaError`] when the log or the rows cannot be read.
    pub async fn status(&self) -> Result<Vec<SagaStatus>, SagaError> {
        let mut all = Vec::new();
        for saga in self.all() {
            all.push(saga.status().await?);
        }
        Ok(all)
    }

    /// Ends all tasks: no more events are taken in, no more timers fire, commands in flight are finished.
    pub(crate) async fn stop(&self) {
        self.stop.send_replace(true);
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let ended = async { while tasks.join_next().await.is_some() {} };
        if timeout(self.grace, ended).await.is_err() {
            tracing::warn!("sagas did not end in time; after the next start they go on where they were");
            tasks.shutdown().await;
        }
    }

    /// Ends the upkeep of the rows.
    pub(crate) async fn shutdown_rows(&self) {
        if let Some(rows) = &self.rows {
            rows.shutdown().await;
        }
    }
}

impl fmt::Debug for Sagas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.running.iter().map(|running| running.name)).finish()
    }
}

/// One running saga. Cheap to clone.
#[derive(Clone)]
pub struct SagaHandle {
    running: Arc<Running>,
}

impl SagaHandle {
    /// How far it is.
    ///
    /// # Errors
    /// [`SagaError`] when the log or the rows cannot be read.
    pub async fn status(&self) -> Result<SagaStatus, SagaError> {
        let Running { name, version, events, operate, rows, progress } = &*self.running;
        let counts = rows.get(&COUNTS, &()).await?.unwrap_or_default();
        let head = events.head().await?;
        let Progress { state, scanned: cursor } = progress.borrow().clone();
        Ok(SagaStatus {
            name,
            version: *version,
            state,
            cursor,
            head,
            lag: head.position.get().saturating_sub(cursor.position.get()),
            running: counts.running,
            quarantined: counts.quarantined,
            completed: counts.completed,
            pending: counts.pending,
            timers: counts.timers,
            passed: operate.passed(),
            last_error: operate.last_error(),
        })
    }

    /// The saga's declared name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.running.name
    }

    /// Whether it takes events in. Asks no disk.
    pub(crate) fn health(&self) -> Health {
        let Progress { state, scanned } = self.running.progress.borrow().clone();
        match state {
            SagaState::Live => Health::Healthy,
            SagaState::CatchingUp => Health::degraded(format!("it catches up, at event {}", scanned.position)),
            SagaState::Blocked(by) => Health::failed(by.to_string()),
            SagaState::Failed { error } => Health::failed(error),
            SagaState::Stopped => Health::failed("it was shut down"),
        }
    }

    /// Adds what was counted up to now.
    pub(crate) fn collect(&self, metrics: &mut Metrics) {
        self.running.operate.measured().collect(self.running.name, metrics);
    }

    /// The instance with a key, as its last record says.
    ///
    /// # Errors
    /// [`SagaError`] when it cannot be read.
    pub async fn instance(&self, key: &str) -> Result<Option<InstanceStatus>, SagaError> {
        Ok(self.running.operate.instance(key).await?)
    }

    /// Instances in the order of their keys, those behind `after`, at most `limit`.
    ///
    /// # Errors
    /// [`SagaError`] when they cannot be read.
    pub async fn instances(&self, after: Option<&str>, limit: usize) -> Result<Vec<InstanceStatus>, SagaError> {
        // No key is between one and the same with a zero byte behind it.
        let from = after.map_or_else(String::new, |after| format!("{after}\0"));
        let rows = self.running.rows.scan(&INSTANCES).range(from..).limit(limit).await?;
        self.load(rows.into_iter().map(|(key, _)| key)).await
    }

    /// Instances in quarantine, the longest there first, at most `limit`.
    ///
    /// # Errors
    /// [`SagaError`] when they cannot be read.
    pub async fn quarantined(&self, limit: usize) -> Result<Vec<InstanceStatus>, SagaError> {
        let rows = self.running.rows.scan(&QUARANTINED).limit(limit).await?;
        self.load(rows.into_iter().map(|((_, key), ())| key)).await
    }

    async fn load(&self, keys: impl Iterator<Item = String>) -> Result<Vec<InstanceStatus>, SagaError> {
        let mut instances = Vec::new();
        for key in keys {
            instances.extend(self.instance(&key).await?);
        }
        Ok(instances)
    }

    /// Lets an instance out of quarantine: it takes in what was held, in order, and the command that could not be
    /// executed is sent again. Who had it done and why is recorded.
    ///
    /// # Errors
    /// [`SagaError::NotQuarantined`]; otherwise when it cannot be recorded.
    pub async fn release(&self, key: &str, audit: Audit) -> Result<Cursor, SagaError> {
        let released = self.running.operate.release(key, &audit).await?;
        released.ok_or_else(|| SagaError::NotQuarantined { saga: self.running.name, key: key.to_owned() })
    }

    /// Gives a command up that has no outcome: it is not sent any more, and the saga is told that it was rejected, for the
    /// reason that the audit gives. Whether an attempt before was recorded is for the person to find out. Who had it done
    /// and why is recorded. An instance that is in quarantine for this command goes on; one that is there for something
    /// else takes it in when it is released.
    ///
    /// # Errors
    /// [`SagaError::NotPending`]; otherwise when it cannot be recorded.
    pub async fn skip(&self, key: &str, effect: EffectId, audit: Audit) -> Result<Cursor, SagaError> {
        let message = format!("skipped by {}: {}", audit.who, audit.why);
        self.settle(key, effect, Verdict::Rejected(Rejection { message, detail: Value::Null }), audit).await
    }

    /// Counts a command without an outcome as done, with this reply: the person has seen to it by other means. Otherwise as
    /// [`SagaHandle::skip`].
    ///
    /// # Errors
    /// [`SagaError::NotPending`]; otherwise when it cannot be recorded.
    pub async fn force(&self, key: &str, effect: EffectId, reply: Value, audit: Audit) -> Result<Cursor, SagaError> {
        self.settle(key, effect, Verdict::Accepted(reply), audit).await
    }

    async fn settle(&self, key: &str, effect: EffectId, verdict: Verdict, audit: Audit) -> Result<Cursor, SagaError> {
        let settled = self.running.operate.settle(key, effect, verdict, audit).await?;
        settled.ok_or_else(|| SagaError::NotPending { saga: self.running.name, key: key.to_owned(), effect })
    }

    /// Leaves one event out that the saga cannot read or route, and that holds it up: see [`SagaState::Blocked`]. The saga
    /// goes on with the next; no instance ever hears of this one. Who had it done and why is recorded.
    ///
    /// # Errors
    /// [`SagaError::NotBlocked`] when it is not this event that holds it up; otherwise when it cannot be recorded.
    pub async fn skip_event(&self, position: Position, audit: Audit) -> Result<Cursor, SagaError> {
        let Running { name: saga, operate, progress, .. } = &*self.running;
        let mut progress = progress.clone();
        let state = progress.borrow_and_update().state.clone();
        let SagaState::Blocked(event) = state else { return Err(SagaError::NotBlocked { saga, position }) };
        if event.position != position {
            return Err(SagaError::NotBlocked { saga, position });
        }
        let cursor = operate.skip_event(&event, &audit).await?;
        let goes_on =
            |progress: &Progress| !matches!(&progress.state, SagaState::Blocked(at) if at.position == position);
        // The error says that the saga was dropped: the next start leaves the event out.
        _ = progress.wait_for(goes_on).await;
        Ok(cursor)
    }

    /// Waits until an instance is done, which includes that all its commands have an outcome; or until it is in
    /// quarantine, where only a person helps. Its [`InstanceStatus::state`] says which. It need not have begun yet.
    ///
    /// # Errors
    /// [`SagaError::UnderWay`] when it takes longer than `patience`; otherwise when it cannot be read.
    pub async fn ended(&self, key: &str, patience: Duration) -> Result<InstanceStatus, SagaError> {
        let Running { name: saga, operate, .. } = &*self.running;
        let ended = operate.rested(key, patience).await?;
        ended.ok_or_else(|| SagaError::UnderWay { saga, key: key.to_owned(), waited: patience })
    }

    /// Waits until the saga has taken in everything that is recorded and has nothing to do but to wait for timers and for
    /// people: for tests and drains. While others keep recording it does not end.
    ///
    /// # Errors
    /// [`SagaError::Stopped`] when the saga takes no more events in.
    pub async fn idle(&self) -> Result<(), SagaError> {
        let Running { name, events, rows, progress, .. } = &*self.running;
        let mut progress = progress.clone();
        loop {
            let head = events.head().await?;
            let there = |progress: &Progress| {
                let ended = !matches!(progress.state, SagaState::CatchingUp | SagaState::Live);
                ended || progress.scanned.position >= head.position
            };
            let stopped = |why: &str| SagaError::Stopped { saga: name, why: why.to_owned() };
            let state = progress.wait_for(there).await.map_err(|_| stopped("it was dropped"))?.state.clone();
            match state {
                SagaState::Blocked(event) => return Err(stopped(&event.to_string())),
                SagaState::Failed { error } => return Err(stopped(&error)),
                SagaState::Stopped => return Err(stopped("it was shut down")),
                SagaState::CatchingUp | SagaState::Live => {}
            }
            let work = rows.after(head).scan(&WORK).limit(1).await?;
            if work.is_empty() && events.head().await? == head {
                return Ok(());
            }
            sleep(STALE_PAUSE).await;
        }
    }
}

impl fmt::Debug for SagaHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SagaHandle").field("name", &self.running.name).finish_non_exhaustive()
    }
}
