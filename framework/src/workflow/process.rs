//! An instance of a workflow, as the saga that it is.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{model::Workflow, steps::Steps};
use crate::{
    command::CommandSet,
    event::Recorded,
    saga::{Check, Effects, Input, Outgoing, Route, Saga},
};

/// An instance of a workflow: which steps it has gone through, and what they know. It is a [`Saga`]; wiring and handle are
/// [`AppBuilder::workflow`](crate::AppBuilder::workflow) and [`App::workflow`](crate::App::workflow). The names of its fields
/// stand on disk and never change.
#[derive(Serialize, Deserialize)]
#[serde(bound(serialize = "W: Serialize", deserialize = "W: DeserializeOwned"))]
pub struct Process<W> {
    /// `None` before it begins.
    pub(super) data: Option<W>,
    pub(super) direction: Direction,
    /// Why it turned back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
    /// The steps that it has gone through, in order.
    pub(super) trail: Vec<Passage>,
    /// What the last input asks for; done with before the next.
    #[serde(skip)]
    pub(super) todo: Vec<Todo>,
}

/// Where a workflow goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Direction {
    #[default]
    Forward,
    Back,
    /// The end: every step is done.
    Done,
    /// The end: every step that was done is undone.
    Compensated,
}

/// A step that an instance has gone through, or is going through.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Passage {
    pub(super) step: String,
    pub(super) state: StepState,
    /// How often the command was sent that the step is at, from 1.
    pub(super) attempt: u32,
}

/// What has become of a step. The names stand on disk and never change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// It is under way.
    Executing(Phase),
    /// It is done.
    Done,
    /// Its `execute` returned `None`: there was nothing to be done.
    LeftOut,
    /// It has failed, and nothing of it has happened.
    Rejected,
    /// It took too long: whether it has happened is not known, so it is to be undone.
    Unknown,
    /// It is being undone.
    Compensating(Phase),
    /// It is undone, or there was nothing to undo.
    Compensated,
    /// A person gave it, or its compensation, up.
    GivenUp,
}

/// How far a command of a step is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It is sent and has no outcome yet.
    Sent,
    /// It is accepted, and the step waits for an event.
    Awaiting,
    /// It was rejected and will be sent again.
    Pausing,
    /// It has no outcome yet, but took too long: the workflow turns back as soon as the outcome is known.
    Overdue,
}

/// Executes, or undoes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Way {
    Execute,
    Compensate,
}

/// What a command is for: its note, by which its outcome is recognised.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) step: String,
    pub(super) way: Way,
    pub(super) attempt: u32,
}

impl Mark {
    pub(super) fn is_execute(&self) -> bool {
        self.way == Way::Execute
    }
}

/// What the timers of a workflow say.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Alarm {
    pub(super) step: String,
    pub(super) kind: AlarmKind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum AlarmKind {
    /// The step, or its compensation, took too long.
    TimedOut,
    /// The command is to be sent again.
    Again,
}

/// What is to be done about an input.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Todo {
    Send {
        mark: Mark,
        outgoing: Outgoing,
    },
    Set(Alarm, Duration),
    Cancel(Alarm),
    /// Nothing more, until a person has looked at it.
    Ask(String),
    Complete,
    /// The input cannot be taken in.
    Fail(String),
}

impl<W: Workflow> Process<W> {
    /// What its steps know; `None` before it begins.
    #[must_use]
    pub const fn data(&self) -> Option<&W> {
        self.data.as_ref()
    }

    /// Why it turned back, if it did.
    #[must_use]
    pub fn turned_back(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// The steps that it has gone through, or is going through, in order.
    pub fn steps(&self) -> impl Iterator<Item = (&str, StepState)> {
        self.trail.iter().map(|passage| (passage.step.as_str(), passage.state))
    }

    /// Whether the program can go on with it: the steps that it has gone through are there, in the same order.
    fn check(&self) -> Result<(), String> {
        let (steps, mut last) = (Steps::<W>::of_workflow(), None);
        for passage in &self.trail {
            let (place, _) = steps.find(&passage.step)?;
            if last.is_some_and(|last| place <= last) {
                return Err(format!(
                    "the step `{}` has another place among the steps of the workflow `{}` than when the instance went through \
                     it; put it back",
                    passage.step,
                    W::NAME
                ));
            }
            last = Some(place);
        }
        Ok(())
    }
}

impl<W: Workflow> Saga for Process<W> {
    const NAME: &'static str = W::NAME;
    const VERSION: u32 = W::VERSION;
    type Event = W::Event;
    type Timer = Alarm;
    const CHECK: Option<Check<Self>> = Some(Self::check);

    fn commands(commands: &mut CommandSet) {
        Steps::<W>::of_workflow().register(commands);
    }

    fn route(event: &Recorded<W::Event>) -> Route {
        match W::start(event) {
            Some((key, _)) => Route::Start(key),
            None => W::about(event).map_or(Route::Ignore, Route::Continue),
        }
    }

    fn evolve(&mut self, input: &Input<Self>) {
        self.todo.clear();
        if let Err(why) = self.take(&Steps::of_workflow(), input) {
            self.todo = vec![Todo::Fail(why)];
        }
    }

    fn react(&self, _: &Input<Self>, effects: &mut Effects<Self>) {
        for todo in &self.todo {
            match todo.clone() {
                Todo::Send { mark, outgoing } => match serde_json::to_value(mark) {
                    Ok(note) => effects.send_noted(outgoing, note),
                    Err(error) => effects.failed = Some(error.to_string()),
                },
                Todo::Set(alarm, after) => _ = effects.set(alarm, after),
                Todo::Cancel(alarm) => _ = effects.cancel(alarm),
                Todo::Ask(why) => effects.ask(why),
                Todo::Complete => _ = effects.complete(),
                Todo::Fail(why) => effects.failed = Some(why),
            }
        }
    }

    fn migrate(version: u32, mut state: Value) -> Option<Self> {
        let data = state.get_mut("data").map(Value::take)?;
        let process: Self = serde_json::from_value(state).ok()?;
        let data = if data.is_null() { None } else { Some(W::migrate(version, data)?) };
        Some(Self { data, ..process })
    }
}

impl<W> Default for Process<W> {
    fn default() -> Self {
        Self { data: None, direction: Direction::Forward, why: None, trail: Vec::new(), todo: Vec::new() }
    }
}

impl<W> fmt::Debug for Process<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("direction", &self.direction)
            .field("why", &self.why)
            .field("trail", &self.trail)
            .finish_non_exhaustive()
    }
}
