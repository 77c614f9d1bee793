//! What became of the calls of many histories: a check of histories in which nothing is refused, or in which no call meets
//! another, would check little.

use std::collections::BTreeSet;

use annalist_core::AppendError;

use super::call::{Call, History};
use crate::model::request::Answer;

/// What must have come up in many histories.
const EXPECTED: [Kind; 9] = [
    Kind::Recorded,
    Kind::Repeated,
    Kind::Held,
    Kind::Conflict,
    Kind::ConditionFailed,
    Kind::KeyReused,
    Kind::Found,
    Kind::FoundNothing,
    Kind::MetAnother,
];

/// What can become of a call, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    Recorded,
    Repeated,
    /// Guards and conditions alone, which held.
    Held,
    Conflict,
    ConditionFailed,
    KeyReused,
    Found,
    FoundNothing,
    /// It was asked when another client's call was under way.
    MetAnother,
}

/// The kinds of calls that have come up.
#[derive(Default)]
pub(super) struct Census(BTreeSet<Kind>);

impl Census {
    pub(super) fn count(&mut self, history: &History) {
        self.0.extend(history.calls.iter().filter_map(kind));
        let met = |call: &Call| {
            let mut others = history.calls.iter().filter(|other| other.client != call.client);
            others.any(|other| other.asked < call.asked && call.asked < other.over_by())
        };
        if history.calls.iter().any(met) {
            self.0.insert(Kind::MetAnother);
        }
    }

    /// Fails if something never came up.
    pub(super) fn assert_varied(&self) {
        let missing: Vec<&Kind> = EXPECTED.iter().filter(|kind| !self.0.contains(kind)).collect();
        assert!(missing.is_empty(), "the histories are too much alike; in none of them was there: {missing:?}");
    }
}

fn kind(call: &Call) -> Option<Kind> {
    let (_, answer) = call.answered.as_ref()?;
    match answer {
        Answer::Appended(Ok(appended)) if appended.repeated => Some(Kind::Repeated),
        Answer::Appended(Ok(appended)) if appended.after == appended.cursor.position => Some(Kind::Held),
        Answer::Appended(Ok(_)) => Some(Kind::Recorded),
        Answer::Appended(Err(AppendError::Conflict { .. })) => Some(Kind::Conflict),
        Answer::Appended(Err(AppendError::ConditionFailed { .. })) => Some(Kind::ConditionFailed),
        Answer::Appended(Err(AppendError::KeyReused { .. })) => Some(Kind::KeyReused),
        Answer::Read(Ok((facts, _))) => Some(if facts.is_empty() { Kind::FoundNothing } else { Kind::Found }),
        _ => None,
    }
}
