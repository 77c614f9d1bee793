//! What is open, derived from the records of a saga: a view like any other, which comes back by replay.

use std::marker::PhantomData;

use annalist_core::{Timestamp, Version};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    model::Saga,
    name::Names,
    record::{Entry, Record},
};
use crate::{
    event::Recorded,
    projection::{ApplyError, Embedded, Projection, Table, Tx},
};

/// All instances, by key.
pub(super) const INSTANCES: Table<String, InstanceRow> = Table::new("instances");
/// Instances about which something is to be done.
pub(super) const WORK: Table<String, Version> = Table::new("work");
/// Instances in quarantine, the longest there first.
pub(super) const QUARANTINED: Table<(Timestamp, String), ()> = Table::new("quarantined");
/// Timers that may fire, the first due first: the key of the instance.
pub(super) const TIMERS: Table<(Timestamp, Uuid), String> = Table::new("timers");
/// How many there are of each.
pub(super) const COUNTS: Table<(), Counts> = Table::new("counts");

/// What an instance is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum InstanceState {
    /// It takes inputs in.
    Running,
    /// Something is wrong with it: its inputs are held until someone lets it go on.
    Quarantined,
    /// It is done.
    Completed,
}

/// One instance.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct InstanceRow {
    pub(super) state: InstanceState,
    pub(super) saga_version: u32,
    pub(super) quarantined: Option<Timestamp>,
    pub(super) has_work: bool,
    pub(super) pending: u64,
    pub(super) timers: Vec<(Timestamp, Uuid)>,
}

/// How many there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) running: u64,
    pub(super) quarantined: u64,
    pub(super) completed: u64,
    pub(super) pending: u64,
    pub(super) timers: u64,
}

impl InstanceRow {
    fn of(entry: &Entry) -> Self {
        let quarantined = entry.quarantine.as_ref().map(|quarantine| quarantine.since);
        Self {
            state: instance_state(entry),
            saga_version: entry.saga_version,
            quarantined,
            has_work: entry.has_work(),
            pending: u64::try_from(entry.pending.len()).unwrap_or(u64::MAX),
            timers: entry.running_timers().iter().map(|timer| (timer.due, timer.id)).collect(),
        }
    }
}

pub(super) fn instance_state(entry: &Entry) -> InstanceState {
    match (&entry.quarantine, entry.completed) {
        (Some(_), _) => InstanceState::Quarantined,
        (None, true) => InstanceState::Completed,
        (None, false) => InstanceState::Running,
    }
}

impl Counts {
    fn change(&mut self, row: &InstanceRow, change: impl Fn(u64, u64) -> u64) {
        let by_state = match row.state {
            InstanceState::Running => &mut self.running,
            InstanceState::Quarantined => &mut self.quarantined,
            InstanceState::Completed => &mut self.completed,
        };
        *by_state = change(*by_state, 1);
        self.pending = change(self.pending, row.pending);
        self.timers = change(self.timers, u64::try_from(row.timers.len()).unwrap_or(u64::MAX));
    }
}

/// Keeps the rows of a saga.
pub(super) struct Rows<S>(PhantomData<fn() -> S>);

impl<S> Rows<S> {
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<S: Saga> Projection for Rows<S> {
    const NAME: &'static str = Names::<S>::CATEGORY;
    /// The layout of the rows, not that of the saga.
    const VERSION: u32 = 1;
    type Event = Record<S>;
    type Model = Embedded;

    async fn apply(&self, recorded: &Recorded<Record<S>>, tx: &mut Tx) -> Result<(), ApplyError> {
        let key = recorded.record.stream_id().identifier().to_owned();
        let row = InstanceRow::of(&recorded.event.entry);
        let mut counts = tx.get(&COUNTS, &())?.unwrap_or_default();
        if let Some(before) = tx.get(&INSTANCES, &key)? {
            counts.change(&before, u64::saturating_sub);
            if before.has_work && !row.has_work {
                tx.delete(&WORK, &key)?;
            }
            if let Some(since) = before.quarantined {
                tx.delete(&QUARANTINED, &(since, key.clone()))?;
            }
            for timer in &before.timers {
                tx.delete(&TIMERS, timer)?;
            }
        }
        counts.change(&row, u64::saturating_add);
        if row.has_work {
            tx.put(&WORK, &key, &recorded.record.version)?;
        }
        if let Some(since) = row.quarantined {
            tx.put(&QUARANTINED, &(since, key.clone()), &())?;
        }
        for timer in &row.timers {
            tx.put(&TIMERS, timer, &key)?;
        }
        tx.put(&COUNTS, &(), &counts)?;
        tx.put(&INSTANCES, &key, &row)?;
        Ok(())
    }
}
