//! Tests of workflows: those of sagas, and what only a workflow has.

use super::{GivenSaga, given_saga};
use crate::{
    projection::GivenEvent,
    workflow::{Process, StepState, Workflow},
};

/// An instance of a workflow under test. It is tested as the saga that it is, with some checks more.
pub type GivenWorkflow<W> = GivenSaga<Process<W>>;

/// An instance of a workflow that has taken in these events; the first begins it.
///
/// What its steps send stays without an outcome until the test says one: [`GivenSaga::accepted`], [`GivenSaga::rejected`],
/// or the time passes ([`GivenSaga::after`]).
///
/// # Panics
/// When an event cannot be encoded or decoded, is not for the instance, or the workflow does: the test fails.
#[track_caller]
pub fn given_workflow<W: Workflow>(
    events: impl IntoIterator<Item = impl Into<GivenEvent<W::Event>>>,
) -> GivenWorkflow<W> {
    given_saga(events)
}

#[expect(clippy::return_self_not_must_use, reason = "the last check of a test has nothing behind it")]
impl<W: Workflow> GivenSaga<Process<W>> {
    /// Looks at what the steps know.
    ///
    /// # Panics
    /// When there is no instance, or `look` does.
    #[track_caller]
    pub fn then_data(self, look: impl FnOnce(&W)) -> Self {
        self.then_state(|process| match process.data() {
            Some(data) => look(data),
            None => panic!("the workflow `{}` has not begun", W::NAME),
        })
    }

    /// The end: this is what has become of each step that the instance has gone through, in order.
    ///
    /// # Panics
    /// When it has not ended, or something else has become of a step.
    #[track_caller]
    pub fn then_ends<'a>(self, expected: impl IntoIterator<Item = (&'a str, StepState)>) -> Self {
        let expected: Vec<_> = expected.into_iter().map(|(step, state)| (step.to_owned(), state)).collect();
        self.then_completed().then_state(|process| {
            let steps: Vec<_> = process.steps().map(|(step, state)| (step.to_owned(), state)).collect();
            assert_eq!(steps, expected, "`{}` has ended otherwise", W::NAME);
        })
    }
}
