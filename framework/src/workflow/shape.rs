//! The steps of a workflow as documents show them.

use std::time::Duration;

use super::{model::Workflow, retry::Retry, steps::Steps};

/// One step, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct StepShape {
    pub(crate) name: &'static str,
    /// The command that it executes.
    pub(crate) executes: &'static str,
    /// Whether it waits for an event.
    pub(crate) waits: bool,
    pub(crate) timeout: Option<Duration>,
    /// How often it is tried again at most.
    pub(crate) retries: u32,
    /// The command that undoes it.
    pub(crate) compensates: Option<&'static str>,
    pub(crate) pivot: bool,
}

/// The steps of a workflow, in order.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn shape<W: Workflow>() -> Result<Vec<StepShape>, String> {
    let steps = Steps::<W>::of_workflow();
    steps.check()?;
    let shapes = steps.all.iter().enumerate().map(|(place, step)| {
        let default = if steps.is_behind_pivot(place) { Retry::PATIENT } else { Retry::never() };
        StepShape {
            name: step.name,
            executes: step.execute.command,
            waits: step.execute.answer.is_some(),
            timeout: step.timeout,
            retries: step.execute.retry.unwrap_or(default).at_most(),
            compensates: step.compensate.as_ref().map(|compensate| compensate.command),
            pivot: step.pivot,
        }
    });
    Ok(shapes.collect())
}
