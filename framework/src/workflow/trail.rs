//! The trail of an instance: which passage an input is about, and what becomes of it.

use std::time::Duration;

use serde::Deserialize;

use super::{
    model::Workflow,
    process::{Alarm, AlarmKind, Mark, Passage, Process, StepState, Todo},
    steps::{Definition, Steps},
};
use crate::saga::Sent;

/// What cannot be taken in, and why.
pub(super) type Taken = Result<(), String>;

/// The passage that an input is about.
pub(super) struct At<'s, W: Workflow> {
    /// Its place in the trail.
    pub(super) passage: usize,
    /// Its place among the steps.
    pub(super) place: usize,
    pub(super) step: &'s Definition<W>,
    pub(super) state: StepState,
}

impl<W: Workflow> Process<W> {
    /// The passage is over, for now: its timers are of no use any more.
    pub(super) fn settle(&mut self, at: &At<'_, W>, state: StepState) -> Taken {
        self.become_(at, state)?;
        let step = self.passage(at.passage)?.step.clone();
        for kind in [AlarmKind::TimedOut, AlarmKind::Again] {
            self.todo.push(Todo::Cancel(Alarm { step: step.clone(), kind }));
        }
        Ok(())
    }

    pub(super) fn set_timeout(&mut self, step: &str, timeout: Option<Duration>) {
        let set = |timeout| Todo::Set(Alarm { step: step.to_owned(), kind: AlarmKind::TimedOut }, timeout);
        self.todo.extend(timeout.map(set));
    }

    pub(super) fn become_(&mut self, at: &At<'_, W>, state: StepState) -> Taken {
        self.passage_mut(at.passage)?.state = state;
        Ok(())
    }

    /// The passage that is under way, if one is.
    pub(super) fn active<'s>(&self, steps: &'s Steps<W>) -> Result<Option<At<'s, W>>, String> {
        let active = |passage: &Passage| matches!(passage.state, StepState::Executing(_) | StepState::Compensating(_));
        self.trail.iter().position(active).map(|passage| self.at(steps, passage)).transpose()
    }

    /// The passage that a command was sent by, if it is at that attempt still; the note of another program is passed over.
    pub(super) fn of_mark<'s>(&self, steps: &'s Steps<W>, command: &Sent) -> Result<Option<(Mark, At<'s, W>)>, String> {
        let Ok(mark) = Mark::deserialize(command.note()) else { return Ok(None) };
        let Some(passage) = self.trail.iter().position(|passage| passage.step == mark.step) else { return Ok(None) };
        let mut at = self.at(steps, passage)?;
        if self.passage(passage)?.attempt != mark.attempt {
            // Of an attempt that is over: what it replied still counts, but it moves nothing.
            at.state = StepState::LeftOut;
        }
        Ok(Some((mark, at)))
    }

    pub(super) fn at<'s>(&self, steps: &'s Steps<W>, passage: usize) -> Result<At<'s, W>, String> {
        let Passage { step, state, .. } = self.passage(passage)?;
        let (place, step) = steps.find(step)?;
        Ok(At { passage, place, step, state: *state })
    }

    pub(super) fn passage(&self, at: usize) -> Result<&Passage, String> {
        self.trail.get(at).ok_or_else(|| format!("the trail has no passage {at}"))
    }

    pub(super) fn passage_mut(&mut self, at: usize) -> Result<&mut Passage, String> {
        self.trail.get_mut(at).ok_or_else(|| format!("the trail has no passage {at}"))
    }

    pub(super) fn known(&self) -> Result<&W, String> {
        self.data.as_ref().ok_or_else(nothing_known)
    }

    pub(super) fn known_mut(&mut self) -> Result<&mut W, String> {
        self.data.as_mut().ok_or_else(nothing_known)
    }
}

fn nothing_known() -> String {
    "the data of the workflow is written as null: let it be a struct with braces".to_owned()
}
