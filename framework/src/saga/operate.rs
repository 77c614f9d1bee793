//! What people do with instances: look, let go on, skip, force.

use std::{
    pin::pin,
    sync::{PoisonError, atomic::Ordering},
    time::Duration,
};

use annalist_core::{Cursor, EventId};
use async_trait::async_trait;
use serde_json::Value;
use tokio::time::timeout;

use super::{
    halt::{Halt, Trouble},
    model::{EffectId, Saga},
    record::Audit,
    rows::instance_state,
    skipped,
    status::{BlockedBy, InstanceStatus},
    streams::{Instance, Streams},
    taker::{Incoming, Taker, Verdict, stopped},
};
use crate::metrics::SagaMetrics;

/// A saga without its type.
#[async_trait]
pub(super) trait Operate: Send + Sync {
    async fn instance(&self, key: &str) -> Result<Option<InstanceStatus>, Trouble>;
    /// `None` if it is not in quarantine.
    async fn release(&self, key: &str, audit: &Audit) -> Result<Option<Cursor>, Halt>;
    /// `None` if the command has an outcome already, or is none of the instance's.
    async fn settle(&self, key: &str, effect: EffectId, verdict: Verdict, audit: Audit)
    -> Result<Option<Cursor>, Halt>;
    /// Waits until an instance rests; `None` if it does not in time.
    async fn rested(&self, key: &str, patience: Duration) -> Result<Option<InstanceStatus>, Trouble>;
    /// Leaves an event out that cannot be read.
    async fn skip_event(&self, event: &BlockedBy, audit: &Audit) -> Result<Cursor, Trouble>;
    fn passed(&self) -> u64;
    fn measured(&self) -> &SagaMetrics;
    fn last_error(&self) -> Option<String>;
}

#[async_trait]
impl<S: Saga> Operate for Taker<S> {
    async fn instance(&self, key: &str) -> Result<Option<InstanceStatus>, Trouble> {
        let instance = self.streams.load(&Streams::<S>::of(key)?).await?;
        Ok(instance.map(|instance| status(key, instance)))
    }

    async fn release(&self, key: &str, audit: &Audit) -> Result<Option<Cursor>, Halt> {
        Ok(Taker::release(self, key, audit).await?.cursor())
    }

    async fn settle(
        &self,
        key: &str,
        effect: EffectId,
        verdict: Verdict,
        audit: Audit,
    ) -> Result<Option<Cursor>, Halt> {
        let settled = Incoming::Settled { effect, verdict, audit: Some(audit) };
        Ok(self.take(key, &settled).await?.cursor())
    }

    async fn rested(&self, key: &str, patience: Duration) -> Result<Option<InstanceStatus>, Trouble> {
        let stream = Streams::<S>::of(key)?;
        let (waiter, mut stop) = (self.awaited.waiter(key), self.stop.clone());
        let rested = async {
            loop {
                let mut told = pin!(waiter.rests.notified());
                // From now on: what is recorded after the look is not missed.
                told.as_mut().enable();
                if let Some(instance) = self.streams.load(&stream).await?.filter(|instance| instance.entry.rests()) {
                    return Ok(status(key, instance));
                }
                tokio::select! {
                    biased;
                    () = stopped(&mut stop) => return Err(Halt::Stopped.into()),
                    () = told => {}
                }
            }
        };
        timeout(patience, rested).await.map_or(Ok(None), |rested| rested.map(Some))
    }

    async fn skip_event(&self, event: &BlockedBy, audit: &Audit) -> Result<Cursor, Trouble> {
        let id = EventId::new(self.env.new_id());
        let cursor = skipped::record(&*self.streams.events, self.name, event, audit, id).await?;
        let Audit { who, why } = audit;
        tracing::warn!(saga = self.name, position = %event.position, who, why, "an event is left out, by hand");
        self.unblocked.notify_one();
        Ok(cursor)
    }

    fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    fn measured(&self) -> &SagaMetrics {
        &self.measured
    }

    fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn status(key: &str, instance: Instance) -> InstanceStatus {
    let Instance { version, time, entry, .. } = instance;
    InstanceStatus {
        key: key.to_owned(),
        state: instance_state(&entry),
        quarantined_for: entry.quarantine.as_ref().and_then(|quarantine| quarantine.effect),
        quarantine: entry.quarantine.map(|quarantine| (quarantine.reason, quarantine.since)),
        saga_version: entry.saga_version,
        data: entry.state.unwrap_or(Value::Null),
        pending: entry.pending,
        timers: entry.timers.into_iter().map(|timer| (timer.due, timer.timer)).collect(),
        held: entry.held.map_or(0, |held| held.count),
        began: entry.began,
        changed: time,
        version,
    }
}
