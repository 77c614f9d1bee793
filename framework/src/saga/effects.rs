//! What a saga wants to be done, as data.

use std::{fmt, marker::PhantomData, time::Duration};

use serde_json::Value;
use uuid::Uuid;

use super::model::{EffectId, Outgoing, Saga, Sent};
use crate::{
    aggregate::Aggregate,
    command::{Command, Decide},
};

/// What is to be done about an input. It is recorded together with the state, then done.
pub struct Effects<S: Saga> {
    /// The input: ids derive from it.
    input: Uuid,
    pub(crate) sends: Vec<Sent>,
    /// In order: a timer may be cancelled and set again.
    pub(crate) timers: Vec<TimerChange>,
    pub(crate) completes: bool,
    /// Why a person must look at it before it goes on, if one must.
    pub(crate) asks: Option<String>,
    /// What cannot be recorded, if there is something.
    pub(crate) failed: Option<String>,
    saga: PhantomData<fn() -> S>,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum TimerChange {
    Set { timer: Value, after: Duration },
    Cancel { timer: Value },
}

impl<S: Saga> Effects<S> {
    pub(crate) fn new(input: Uuid) -> Self {
        Self {
            input,
            sends: Vec::new(),
            timers: Vec::new(),
            completes: false,
            asks: None,
            failed: None,
            saga: PhantomData,
        }
    }

    /// Sends a command to an aggregate, once, whatever happens. What comes of it is an [`Input`](super::Input). The
    /// commands of an instance are executed one after the other, in the order in which they are sent.
    #[expect(clippy::needless_pass_by_value, reason = "a reaction reads better without ampersands")]
    pub fn send<A: Aggregate + Decide<C>, C: Command>(&mut self, id: &A::Id, command: C) -> &mut Self {
        match Outgoing::new::<A, C>(id, &command) {
            Ok(outgoing) => self.send_noted(outgoing, Value::Null),
            Err(why) => self.failed = Some(why),
        }
        self
    }

    /// Sends a command; the note comes back with its outcome.
    pub(crate) fn send_noted(&mut self, outgoing: Outgoing, note: Value) {
        let id = EffectId::of(self.input, self.sends.len());
        self.sends.push(outgoing.sent(id, self.input, note));
    }

    /// Puts the instance into quarantine once the input is taken in, because of the last command that it has sent: that
    /// one is not executed until a person lets it be.
    pub(crate) fn ask(&mut self, why: String) {
        self.asks = Some(why);
    }

    /// Sets a timer, which fires once when so much time has passed since this input was recorded; at once when the
    /// service was down then. One that is the same and has not fired yet is replaced.
    #[expect(clippy::needless_pass_by_value, reason = "a reaction reads better without ampersands")]
    pub fn set(&mut self, timer: S::Timer, after: Duration) -> &mut Self {
        if let Some(timer) = self.written(&timer) {
            self.timers.push(TimerChange::Set { timer, after });
        }
        self
    }

    /// Cancels a timer, if it is set and has not fired.
    #[expect(clippy::needless_pass_by_value, reason = "a reaction reads better without ampersands")]
    pub fn cancel(&mut self, timer: S::Timer) -> &mut Self {
        if let Some(timer) = self.written(&timer) {
            self.timers.push(TimerChange::Cancel { timer });
        }
        self
    }

    /// The instance is done: it takes nothing in any more, and its timers are cancelled. Commands that it has sent are
    /// still executed; a rejection of one is only recorded.
    pub fn complete(&mut self) -> &mut Self {
        self.completes = true;
        self
    }

    /// An id for something new: derived from the input and `ordinal`, so that the same ordinal gives the same id when the
    /// input is taken again, and another gives another.
    #[must_use]
    pub fn new_id(&self, ordinal: u64) -> Uuid {
        Uuid::new_v5(&self.input, format!("id/{ordinal}").as_bytes())
    }

    fn written(&mut self, timer: &S::Timer) -> Option<Value> {
        match serde_json::to_value(timer) {
            Ok(timer) => Some(timer),
            Err(error) => {
                self.failed = Some(format!("a timer cannot be written as JSON: {error}"));
                None
            }
        }
    }
}

impl<S: Saga> fmt::Debug for Effects<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Effects")
            .field("sends", &self.sends)
            .field("timers", &self.timers)
            .field("completes", &self.completes)
            .finish_non_exhaustive()
    }
}
