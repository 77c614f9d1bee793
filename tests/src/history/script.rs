//! What the clients of a history do.

use annalist_core::Query;
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, prop_oneof},
};

use crate::model::{
    names,
    operation::{self, Question},
    parts::{Entry, entry},
};

/// How many clients there are.
const CLIENTS: std::ops::RangeInclusive<usize> = 4..=8;
/// How many steps each of them takes.
const STEPS: std::ops::RangeInclusive<usize> = 15..=40;
/// How many turns of others a client waits at most before it turns away.
const PATIENCE_MAX: usize = 20;
/// How many turns it lets others have at most before a step.
const REST_MAX: usize = 3;
/// How many turns it lets others have at most when it has begun to ask. It keeps calls of a store that never waits from
/// being over as soon as they have begun; the more there are, the less a wrong answer can be told from a right one.
const HESITATION_MAX: usize = 2;

/// What one client does, in order.
pub(super) type Script = Vec<(Step, Pauses)>;

/// How many turns others have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pauses {
    /// Before a step.
    pub(super) rest: usize,
    /// Within each call of it, before the store is asked and so after the clock is.
    pub(super) hesitation: usize,
}

/// One step of a client, in terms of what it knows by then.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Ask(Question),
    /// Appends, waits for so many turns of others, and then asks again if it has a key to be recognised by.
    Abandon(Question, usize),
    /// Reads what matches a query, and appends unless more of it has come meanwhile: then once more from the beginning.
    Decide(Query, Entry),
}

/// Draws a script for each client.
pub(super) fn scripts() -> impl Strategy<Value = Vec<Script>> {
    let question = prop_oneof![
        12 => operation::append(),
        6 => operation::read(),
        1 => operation::follow(),
        1 => operation::outcome(),
        1 => Just(Question::Head),
        1 => Just(Question::Statistics),
    ];
    let step = prop_oneof![
        18 => question.prop_map(Step::Ask),
        2 => (operation::append(), 0..PATIENCE_MAX).prop_map(|(append, patience)| Step::Abandon(append, patience)),
        5 => (names::query(), entry()).prop_map(|(query, entry)| Step::Decide(query, entry)),
    ];
    let hesitation = prop_oneof![Just(0), 1..=HESITATION_MAX];
    let pauses = (0..=REST_MAX, hesitation).prop_map(|(rest, hesitation)| Pauses { rest, hesitation });
    vec(vec((step, pauses), STEPS), CLIENTS)
}
