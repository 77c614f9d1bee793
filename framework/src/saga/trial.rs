//! An instance without a store, for the test kit: the steps are those of a running saga.

use std::{marker::PhantomData, time::Duration};

use annalist_core::{Metadata, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    model::{EffectId, Input, Rejection, Saga, Sent},
    name::Names,
    record::{Entry, InputRecord},
    step,
};
use crate::event::Recorded;

/// See the module.
pub(crate) struct Instance<S> {
    stream: String,
    entry: Entry,
    saga: PhantomData<fn() -> S>,
}

impl<S: Saga> Instance<S> {
    pub(crate) fn new(key: &str) -> Self {
        let entry = step::begin::<S>(Timestamp::default(), Metadata::default());
        Self { stream: format!("{}-{key}", Names::<S>::CATEGORY), entry, saga: PhantomData }
    }

    /// Takes in an event; returns what it sends.
    pub(crate) fn take_event(&mut self, recorded: Recorded<S::Event>, now: Timestamp) -> Result<Vec<Sent>, String> {
        if self.entry.completed {
            return Err("it is completed and takes nothing in any more".to_owned());
        }
        if let Some(why) = self.quarantine() {
            return Err(format!("it is in quarantine and holds what comes: {why}"));
        }
        let record = InputRecord::Event { position: recorded.record.position, id: recorded.record.id };
        self.take(record, &Input::Event(recorded), now)
    }

    /// Fires a timer that is set.
    pub(crate) fn fire(&mut self, id: Uuid, now: Timestamp) -> Result<Vec<Sent>, String> {
        let timer = self.entry.running_timers().iter().find(|timer| timer.id == id).map(|timer| timer.timer.clone());
        let timer = timer.ok_or("it is not set")?;
        let read = S::Timer::deserialize(&timer);
        let read = read.map_err(|error| format!("the timer {timer} is not read as it was written: {error}"))?;
        self.take(InputRecord::Timer { id, timer }, &Input::Timer(read), now)
    }

    /// A command is accepted, by its aggregate or by hand.
    pub(crate) fn accept(
        &mut self,
        effect: EffectId,
        reply: Value,
        by_hand: bool,
        now: Timestamp,
    ) -> Result<Vec<Sent>, String> {
        let command = Sent { by_hand, ..self.pending(effect)? };
        let input = Input::Accepted { command: command.clone(), reply: reply.clone() };
        self.take(InputRecord::Accepted { command, reply }, &input, now)
    }

    /// A command is rejected.
    pub(crate) fn reject(
        &mut self,
        effect: EffectId,
        message: String,
        detail: Value,
        now: Timestamp,
    ) -> Result<Vec<Sent>, String> {
        let command = self.pending(effect)?;
        self.refuse(command, step::rejection(message, detail), now)
    }

    /// A person gives a command up.
    pub(crate) fn skip(&mut self, effect: EffectId, why: &str, now: Timestamp) -> Result<Vec<Sent>, String> {
        let command = Sent { by_hand: true, ..self.pending(effect)? };
        self.refuse(command, step::rejection(why.to_owned(), Value::Null), now)
    }

    fn refuse(&mut self, command: Sent, rejection: Rejection, now: Timestamp) -> Result<Vec<Sent>, String> {
        let input = Input::Rejected { command: command.clone(), rejection: rejection.clone() };
        self.take(InputRecord::Rejected { command, rejection }, &input, now)
    }

    /// A person lets it out of quarantine; `false` if it is in none.
    pub(crate) fn release(&mut self) -> bool {
        self.entry.quarantine.take().is_some()
    }

    /// The first command without an outcome: the one that is executed next, unless the instance is in quarantine.
    pub(crate) fn first_pending(&self) -> Option<EffectId> {
        self.entry.pending.first().map(|command| command.id)
    }

    /// The timer that is due first.
    pub(crate) fn first_timer(&self) -> Option<(Timestamp, Uuid)> {
        self.entry.running_timers().iter().map(|timer| (timer.due, timer.id)).min_by_key(|(due, _)| *due)
    }

    /// The timers, the first due first, with the time until then.
    pub(crate) fn timers_from(&self, now: Timestamp) -> Vec<(Value, Duration)> {
        let mut timers: Vec<_> = self.entry.timers.iter().collect();
        timers.sort_by_key(|timer| timer.due);
        let left = |due: Timestamp| u64::try_from(due.as_micros().saturating_sub(now.as_micros())).unwrap_or_default();
        timers.into_iter().map(|timer| (timer.timer.clone(), Duration::from_micros(left(timer.due)))).collect()
    }

    /// Why it is in quarantine, if it is.
    pub(crate) fn quarantine(&self) -> Option<&str> {
        self.entry.quarantine.as_ref().map(|quarantine| quarantine.reason.as_str())
    }

    pub(crate) fn is_completed(&self) -> bool {
        self.entry.completed
    }

    /// The state; the default if it cannot be read, which [`Instance::round_trip`] finds.
    pub(crate) fn state(&self) -> S {
        step::state(&self.entry).unwrap_or_default()
    }

    /// Whether the state is written again as it was read.
    pub(crate) fn round_trip(&self) -> Result<(), String> {
        let state: S = step::state(&self.entry)?;
        let again = serde_json::to_value(&state).map_err(|error| error.to_string())?;
        let written = self.entry.state.clone().unwrap_or_default();
        if again == written { Ok(()) } else { Err(format!("{written} became {again}")) }
    }

    fn pending(&self, effect: EffectId) -> Result<Sent, String> {
        let found = self.entry.pending.iter().find(|command| command.id == effect);
        found.cloned().ok_or_else(|| "it does not wait for the command".to_owned())
    }

    fn take(&mut self, record: InputRecord, input: &Input<S>, now: Timestamp) -> Result<Vec<Sent>, String> {
        let next = step::take(&self.entry, &self.stream, record, input, now)?;
        let before: Vec<_> = self.entry.pending.iter().map(|command| command.id).collect();
        let news = next.pending.iter().filter(|command| !before.contains(&command.id)).cloned().collect();
        self.entry = next;
        Ok(news)
    }
}
