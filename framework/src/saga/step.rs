//! One step of an instance: pure, whatever the user's code does.

use std::panic::{AssertUnwindSafe, catch_unwind};

use annalist_core::{Metadata, Timestamp};
use serde_json::Value;
use uuid::Uuid;

use super::{
    effects::{Effects, TimerChange},
    limits::{OPEN_EFFECTS_MAX, REJECTION_BYTES_MAX},
    model::{Input, Rejection, Saga},
    record::{Entry, Held, InputRecord, Quarantine, TimerRecord},
};

/// An instance before its first input.
pub(super) fn begin<S: Saga>(now: Timestamp, circumstances: Metadata) -> Entry {
    Entry {
        input: None,
        audit: None,
        saga_version: S::VERSION,
        state: None,
        completed: false,
        pending: Vec::new(),
        timers: Vec::new(),
        quarantine: None,
        held: None,
        began: now,
        circumstances,
    }
}

/// The state of an instance; of one that has not begun, the default.
///
/// # Errors
/// Why it cannot be read, and what to do.
pub(super) fn state<S: Saga>(entry: &Entry) -> Result<S, String> {
    let Some(state) = &entry.state else { return Ok(S::default()) };
    if entry.saga_version == S::VERSION {
        let read = S::deserialize(state);
        return read.map_err(|error| {
            format!(
                "the state of version {} cannot be read: {error}; increment VERSION and write `migrate` when the state \
                 changes its shape",
                S::VERSION
            )
        });
    }
    S::migrate(entry.saga_version, state.clone()).ok_or_else(|| {
        format!(
            "the state is of version {}, the saga of version {}, and `migrate` has no answer",
            entry.saga_version,
            S::VERSION
        )
    })
}

/// Takes in an input: the instance behind it.
///
/// # Errors
/// Why it cannot be taken in: the instance goes into quarantine.
pub(super) fn take<S: Saga>(
    before: &Entry,
    stream: &str,
    record: InputRecord,
    input: &Input<S>,
    now: Timestamp,
) -> Result<Entry, String> {
    let mut next = Entry { audit: None, quarantine: None, ..before.clone() };
    settle(&mut next, &record);
    // The outcome of a command that a completed instance has sent changes nothing any more.
    if !next.completed {
        let id = record.id(stream);
        let (state, effects) = react::<S>(before, input, id)?;
        let written = serde_json::to_value(&state);
        next.state = Some(written.map_err(|error| format!("the state cannot be written as JSON: {error}"))?);
        next.saga_version = S::VERSION;
        add(&mut next, effects, id, now)?;
    }
    next.input = Some(record);
    Ok(next)
}

/// Lets the user's code do its part; a panic is an answer.
fn react<S: Saga>(before: &Entry, input: &Input<S>, id: Uuid) -> Result<(S, Effects<S>), String> {
    let reacting = || {
        let mut state: S = state(before)?;
        state.evolve(input);
        let mut effects = Effects::new(id);
        state.react(input, &mut effects);
        Ok((state, effects))
    };
    // Nothing that the code may have left half changed is used afterwards.
    match catch_unwind(AssertUnwindSafe(reacting)) {
        Ok(reacted) => reacted,
        Err(panic) => Err(format!("it panicked: {}", panic_message(&*panic))),
    }
}

pub(super) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

/// What the input itself was is open no more.
pub(super) fn settle(next: &mut Entry, record: &InputRecord) {
    match record {
        InputRecord::Event { .. } => {}
        InputRecord::Timer { id, .. } => next.timers.retain(|timer| timer.id != *id),
        InputRecord::Accepted { command, .. } | InputRecord::Rejected { command, .. } => {
            next.pending.retain(|pending| pending.id != command.id);
        }
    }
}

fn add<S: Saga>(next: &mut Entry, effects: Effects<S>, id: Uuid, now: Timestamp) -> Result<(), String> {
    if let Some(failed) = effects.failed {
        return Err(failed);
    }
    next.pending.extend(effects.sends);
    for (ordinal, change) in effects.timers.into_iter().enumerate() {
        let (TimerChange::Set { timer, .. } | TimerChange::Cancel { timer }) = &change;
        next.timers.retain(|open| open.timer != *timer);
        if let TimerChange::Set { timer, after } = change {
            let after = i64::try_from(after.as_micros()).unwrap_or(i64::MAX);
            let due = Timestamp::from_micros(now.as_micros().saturating_add(after));
            next.timers.push(TimerRecord { id: Uuid::new_v5(&id, format!("timer/{ordinal}").as_bytes()), due, timer });
        }
    }
    if let Some(reason) = effects.asks {
        let effect = next.pending.last().map(|command| command.id);
        next.quarantine = Some(Quarantine { reason, since: now, effect });
    }
    if effects.completes {
        next.completed = true;
        next.timers.clear();
    }
    for (what, count) in [("commands without an outcome", next.pending.len()), ("timers", next.timers.len())] {
        if count > OPEN_EFFECTS_MAX {
            return Err(format!("it has {count} {what}, at most {OPEN_EFFECTS_MAX} are allowed"));
        }
    }
    Ok(())
}

/// Holds an input until the instance goes on. `version` is that of the record which does.
pub(super) fn hold(before: &Entry, record: InputRecord, version: annalist_core::Version) -> Entry {
    let mut next = Entry { audit: None, ..before.clone() };
    settle(&mut next, &record);
    let held = before.held.unwrap_or(Held { from: version, count: 0 });
    next.held = Some(Held { count: held.count + 1, ..held });
    next.input = Some(record);
    next
}

/// The inputs that are still held behind one that was taken, at `version`.
pub(super) fn held_behind(held: Held, version: annalist_core::Version) -> Option<Held> {
    (held.count > 1).then(|| Held { from: version.next(), count: held.count - 1 })
}

/// Into quarantine, with nothing changed otherwise.
pub(super) fn quarantine(before: &Entry, quarantine: Quarantine) -> Entry {
    Entry { input: None, audit: None, quarantine: Some(quarantine), ..before.clone() }
}

/// A rejection as it is recorded.
pub(super) fn rejection(message: String, detail: Value) -> Rejection {
    let detail = if detail.to_string().len() > REJECTION_BYTES_MAX { Value::Null } else { detail };
    Rejection { message, detail }
}
