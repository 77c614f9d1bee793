//! The steps of a workflow, as it declares them.

use std::{fmt, marker::PhantomData, time::Duration};

use serde_json::Value;

use super::{
    model::{Answer, Workflow},
    retry::Retry,
};
use crate::{
    aggregate::Aggregate,
    command::{Command, CommandSet, Decide},
    event::Recorded,
    saga::Outgoing,
};

/// Most steps of a workflow: all of them are part of each of an instance's records.
const STEPS_MAX: usize = 256;

/// The steps of a workflow, in order: `steps.step("reserve").execute::<Stock, Reserve>(..)`.
pub struct Steps<W: Workflow> {
    pub(super) all: Vec<Definition<W>>,
}

/// One step.
pub(super) struct Definition<W: Workflow> {
    pub(super) name: &'static str,
    pub(super) formerly: Vec<&'static str>,
    pub(super) execute: Action<W>,
    on_reply: Option<OnReply<W>>,
    pub(super) compensate: Option<Action<W>>,
    pub(super) timeout: Option<Duration>,
    pub(super) pivot: bool,
    /// What was said of its compensation before there was one.
    misplaced: Option<&'static str>,
}

/// A command, and how its end is known.
pub(super) struct Action<W: Workflow> {
    pub(super) command: &'static str,
    register: fn(&mut CommandSet),
    make: Make<W>,
    pub(super) answer: Option<ReadAnswer<W>>,
    pub(super) retry: Option<Retry>,
}

type Make<W> = Box<dyn Fn(&W) -> Result<Option<Outgoing>, String>>;
type OnReply<W> = Box<dyn Fn(Option<&mut W>, &Value) -> Result<(), String>>;
pub(super) type ReadAnswer<W> = Box<dyn Fn(&mut W, &Recorded<<W as Workflow>::Event>) -> Option<Answer>>;

/// A step with a name that is not said yet what it does.
#[must_use = "a step is nothing until it executes something"]
pub struct Named<'a, W: Workflow> {
    steps: &'a mut Steps<W>,
    name: &'static str,
}

/// One step, to be told more about. `R` is what its command replies.
pub struct Step<'a, W: Workflow, R> {
    definition: &'a mut Definition<W>,
    reply: PhantomData<fn() -> R>,
}

impl<W: Workflow> Steps<W> {
    /// The steps as the workflow declares them.
    pub(super) fn of_workflow() -> Self {
        let mut steps = Self { all: Vec::new() };
        W::steps(&mut steps);
        steps
    }

    /// The next step. Instances know it by this name, in their records: it is unique in the workflow and never changes
    /// without [`Step::formerly`].
    pub const fn step(&mut self, name: &'static str) -> Named<'_, W> {
        Named { steps: self, name }
    }

    /// The step with this name, or which had it, and its place.
    pub(super) fn find(&self, name: &str) -> Result<(usize, &Definition<W>), String> {
        let found = self.all.iter().enumerate().find(|(_, step)| step.is_called(name));
        found.ok_or_else(|| {
            format!(
                "the workflow `{}` has no step `{name}` any more; if it was renamed, say `.formerly(\"{name}\")`; if it is not \
                 wanted, let its `execute` return `None` until no instance has gone through it",
                W::NAME
            )
        })
    }

    /// Whether a workflow that fails at this place can turn back: before the pivot, and at one that can be undone.
    pub(super) fn can_turn_back(&self, place: usize) -> bool {
        match self.all.iter().position(|step| step.pivot) {
            Some(pivot) if place == pivot => self.all.get(pivot).is_some_and(|step| step.compensate.is_some()),
            Some(pivot) => place < pivot,
            None => true,
        }
    }

    /// Whether the step in this place is behind the pivot.
    pub(super) fn is_behind_pivot(&self, place: usize) -> bool {
        self.all.iter().position(|step| step.pivot).is_some_and(|pivot| place > pivot)
    }

    /// What is wrong with the steps, if something is.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.all.is_empty() || self.all.len() > STEPS_MAX {
            return Err(format!("it has {} steps; it must have one, and at most {STEPS_MAX}", self.all.len()));
        }
        for (place, step) in self.all.iter().enumerate() {
            let mut names = step.formerly.iter().chain([&step.name]);
            if let Some(name) = names.find(|name| self.all.iter().take(place).any(|other| other.is_called(name))) {
                return Err(format!("two steps are, or were, called `{name}`; each needs a name of its own"));
            }
            if let Some(misplaced) = step.misplaced {
                return Err(format!("`{misplaced}` of the step `{}` must stand behind its `compensate`", step.name));
            }
        }
        if self.all.iter().filter(|step| step.pivot).count() > 1 {
            return Err("two steps are the pivot; there is one from which on there is no way back".to_owned());
        }
        Ok(())
    }

    /// The commands of all steps.
    pub(super) fn register(&self, commands: &mut CommandSet) {
        for step in &self.all {
            (step.execute.register)(commands);
            if let Some(compensate) = &step.compensate {
                (compensate.register)(commands);
            }
        }
    }
}

impl<W: Workflow> Definition<W> {
    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.formerly.contains(&name)
    }

    /// Takes in what the command of the step replied; without data, it is only checked.
    pub(super) fn reply(&self, data: Option<&mut W>, reply: &Value) -> Result<(), String> {
        self.on_reply.as_ref().map_or(Ok(()), |on_reply| on_reply(data, reply))
    }
}

impl<W: Workflow> Action<W> {
    fn new<A: Aggregate + Decide<C>, C: Command>(make: impl Fn(&W) -> Option<(A::Id, C)> + 'static) -> Self {
        Self {
            command: C::NAME,
            register: |commands| _ = commands.add::<A, C>(),
            make: Box::new(move |data| {
                make(data).map(|(id, command)| Outgoing::new::<A, C>(&id, &command)).transpose()
            }),
            answer: None,
            retry: None,
        }
    }

    /// The command; `None` if there is nothing to be done.
    ///
    /// # Errors
    /// Why it cannot be written down.
    pub(super) fn make(&self, data: &W) -> Result<Option<Outgoing>, String> {
        (self.make)(data)
    }
}

impl<'a, W: Workflow> Named<'a, W> {
    /// What the step does: a command, and the aggregate that decides about it. `None` leaves the step out for this
    /// instance; it is not compensated then either.
    pub fn execute<A: Aggregate + Decide<C>, C: Command>(
        self,
        make: impl Fn(&W) -> Option<(A::Id, C)> + 'static,
    ) -> Step<'a, W, <A as Decide<C>>::Reply> {
        let Self { steps, name } = self;
        let execute = Action::new::<A, C>(make);
        let place = steps.all.len();
        steps.all.push(Definition {
            name,
            formerly: Vec::new(),
            execute,
            on_reply: None,
            compensate: None,
            timeout: None,
            pivot: false,
            misplaced: None,
        });
        #[expect(clippy::indexing_slicing, reason = "it has just been put there")]
        Step { definition: &mut steps.all[place], reply: PhantomData }
    }
}

#[expect(
    clippy::return_self_not_must_use,
    clippy::must_use_candidate,
    reason = "the last thing said of a step has nothing behind it"
)]
impl<W: Workflow, R: serde::de::DeserializeOwned + 'static> Step<'_, W, R> {
    /// Takes in what the command replied.
    pub fn on_reply(self, on_reply: impl Fn(&mut W, R) + 'static) -> Self {
        self.definition.on_reply = Some(Box::new(move |data, reply| {
            let read = R::deserialize(reply).map_err(|error| format!("the reply {reply} cannot be read: {error}"))?;
            if let Some(data) = data {
                on_reply(data, read);
            }
            Ok(())
        }));
        self
    }

    /// The step is not done when its command is accepted, but when an event says so: that of another service, or of a
    /// slower part of this one. [`Workflow::about`] must say which instance the event is for. `answer` is asked about each
    /// event while the step is under way, and may note in the data what the event says.
    ///
    /// Give such a step a [`Step::timeout`]: an answer may never come.
    pub fn until(self, answer: impl Fn(&mut W, &Recorded<W::Event>) -> Option<Answer> + 'static) -> Self {
        self.definition.execute.answer = Some(Box::new(answer));
        self
    }

    /// How long the step may take, with everything that is tried again. Then the workflow turns back, and the step is
    /// compensated too unless its command was rejected: it may have happened. An answer that comes later does no harm.
    ///
    /// Where there is no way back, and for compensations, it is how long each attempt waits for the event that ends it.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.definition.timeout = Some(timeout);
        self
    }

    /// What happens when the command is rejected, or an event says that it failed: it is sent again, so often. By default
    /// not at all before the pivot and at it; behind it, for a quarter of an hour, then a person must look at it.
    pub fn retry(self, retry: Retry) -> Self {
        self.definition.execute.retry = Some(retry);
        self
    }

    /// How the step is undone: the command, and the aggregate that decides about it. `None` if there is nothing to undo.
    ///
    /// It may come when the step has never happened, so it must be accepted then too; and it cannot rely on a reply or an
    /// event that never came: identify what is to be undone by ids that the workflow knew before.
    pub fn compensate<A: Aggregate + Decide<C>, C: Command>(
        self,
        make: impl Fn(&W) -> Option<(A::Id, C)> + 'static,
    ) -> Self {
        self.definition.compensate = Some(Action::new::<A, C>(make));
        self
    }

    /// The step is not undone when its compensation is accepted, but when an event says so, as in [`Step::until`]. Comes
    /// behind [`Step::compensate`].
    pub fn compensated_when(self, answer: impl Fn(&mut W, &Recorded<W::Event>) -> Option<Answer> + 'static) -> Self {
        match &mut self.definition.compensate {
            Some(compensate) => compensate.answer = Some(Box::new(answer)),
            None => self.definition.misplaced = Some("compensated_when"),
        }
        self
    }

    /// How often the compensation is sent again when it is rejected; by default for a quarter of an hour. Then a person
    /// must look at it. Comes behind [`Step::compensate`].
    pub fn retry_compensation(self, retry: Retry) -> Self {
        match &mut self.definition.compensate {
            Some(compensate) => compensate.retry = Some(retry),
            None => self.definition.misplaced = Some("retry_compensation"),
        }
        self
    }

    /// The pivot: once it is done there is no way back, and the steps behind it are tried until they are done.
    pub fn pivot(self) -> Self {
        self.definition.pivot = true;
        self
    }

    /// The step was called so before: instances under way know it by that name.
    pub fn formerly(self, name: &'static str) -> Self {
        self.definition.formerly.push(name);
        self
    }
}

impl<W: Workflow> fmt::Debug for Steps<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all.iter().map(|step| step.name)).finish()
    }
}

impl<W: Workflow> fmt::Debug for Named<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Named").field(&self.name).finish()
    }
}

impl<W: Workflow, R> fmt::Debug for Step<'_, W, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Step").field(&self.definition.name).finish()
    }
}
