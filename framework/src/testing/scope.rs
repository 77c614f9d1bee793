//! Tests of decisions across streams.

use std::fmt::{self, Debug};

use annalist_core::{Query, StreamId, Timestamp};

use super::{
    Then,
    given::{read_again, recorded, round_trip, standing_context},
};
use crate::{
    aggregate::State,
    command::{Command, Context, Decide, Decision, Scope},
    event::{Events, Written},
};

/// A scope that is to decide after these events, each recorded in its home stream ([`Scope::home`], asked with the command
/// that follows). Beside what [`given`](super::given) does, it checks the scope itself:
///
/// - every given event matches the query of the command, or else the decision would never see it;
/// - every event is recorded in a stream of its category;
/// - an emitted event that does not match the query makes no difference to the same decision: otherwise two who decide at
///   the same time, or one after the other, would not see each other.
///
/// ```
/// use annalist::testing::given_scope;
/// # use annalist::{Command, Context, Decide, Decision, Event, Invalid, Query, Scope, State, StreamId, Tag, emit, ensure};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Event, Clone, Debug, PartialEq)]
/// # #[event(category = "user")]
/// # enum UserEvent { #[event(name = "user-registered")] Registered { id: u32, #[event(tag)] name: String } }
/// # #[derive(Command, Serialize, Deserialize)]
/// # #[command(name = "register")]
/// # struct Register { id: u32, name: String }
/// # #[derive(Default)]
/// # struct Names { taken: bool }
/// # impl State for Names { type Event = UserEvent; fn evolve(&mut self, _: &UserEvent) { self.taken = true } }
/// # #[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
/// # #[error("taken")]
/// # struct Taken;
/// # impl Decide<Register> for Names {
/// #     type Rejection = Taken;
/// #     type Reply = ();
/// #     fn decide(&self, register: &Register, _: &Context) -> Result<Decision<UserEvent>, Taken> {
/// #         ensure!(!self.taken, Taken);
/// #         Ok(emit(UserEvent::Registered { id: register.id, name: register.name.clone() }))
/// #     }
/// # }
/// # impl Scope<Register> for Names {
/// #     fn query(register: &Register) -> Result<Query, Invalid> {
/// #         Ok(Query::tags([Tag::new(format!("name:{}", register.name))?]))
/// #     }
/// #     fn home(_: &Register, UserEvent::Registered { id, .. }: &UserEvent) -> Result<StreamId, Invalid> {
/// #         StreamId::of("user", id)
/// #     }
/// # }
/// # fn registered(id: u32, name: &str) -> UserEvent { UserEvent::Registered { id, name: name.to_owned() } }
/// # fn register(id: u32, name: &str) -> Register { Register { id, name: name.to_owned() } }
/// given_scope::<Names>([]).when(register(7, "ada")).then_emits([registered(7, "ada")]);
/// given_scope::<Names>([registered(3, "ada")]).when(register(7, "ada")).then_rejected(Taken);
/// ```
pub fn given_scope<S: State>(events: impl IntoIterator<Item = S::Event>) -> GivenScope<S> {
    let events = events.into_iter().map(|event| (None, event)).collect();
    GivenScope { events, context: standing_context() }
}

/// What is so when a command comes to a scope.
#[must_use = "a test needs a command: `.when(...)`"]
pub struct GivenScope<S: State> {
    /// The events, with the stream of those that are not at home.
    events: Vec<(Option<String>, S::Event)>,
    context: Context,
}

impl<S: State> GivenScope<S> {
    /// And these events, recorded in this stream.
    pub fn recorded_in(mut self, stream: &str, events: impl IntoIterator<Item = S::Event>) -> Self {
        self.events.extend(events.into_iter().map(|event| (Some(stream.to_owned()), event)));
        self
    }

    /// At this time, instead of [`TestEnv::START`](crate::TestEnv::START).
    pub fn at(self, now: Timestamp) -> Self {
        let context = Context::new(self.context.command_id(), now);
        self.with_context(context)
    }

    /// In these circumstances.
    pub fn with_context(self, context: Context) -> Self {
        Self { context, ..self }
    }

    /// Decides about a command, after its round trip through JSON.
    ///
    /// # Panics
    /// When the command or an event cannot be written or read, and when the scope is wrong, as [`given_scope`] says.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "a test reads better without ampersands")]
    pub fn when<C: Command>(self, command: C) -> Then<S, S::Event, S::Reply, S::Rejection>
    where
        S: Scope<C>,
    {
        let command = read_again(&command);
        let query = match S::query(&command) {
            Ok(query) => query,
            Err(error) => panic!("the query of `{}` cannot be made: {error}", C::NAME),
        };
        if let Err(error) = query.check() {
            panic!("no store accepts the query of `{}` ({query}): {error}", C::NAME);
        }
        for (stream, event) in &self.events {
            let placed = Placed::new::<S, C>(stream.as_deref(), &command, event);
            assert!(
                placed.matches(&query),
                "the given event {placed} does not match the query of `{}` ({query}): the decision would never see it",
                C::NAME
            );
        }
        let state = self.fold(&[]);
        let decided = state.decide(&command, &self.context).map(Decision::into_parts);
        let emitted = decided.as_ref().map_or(&[][..], |(events, _)| events);
        let (seen, unseen): (Vec<_>, Vec<_>) =
            emitted.iter().partition(|event| Placed::new::<S, C>(None, &command, event).matches(&query));
        let after = self.fold(&emitted.iter().collect::<Vec<_>>());
        if let Some(first) = unseen.first() {
            let again = |state: &S| comparable::<S, C>(state.decide(&command, &self.context));
            assert!(
                again(&self.fold(&seen)) == again(&after),
                "`{}` emits {} outside of its query ({query}), but would decide otherwise if it saw that: let the query \
                 match it",
                C::NAME,
                Placed::new::<S, C>(None, &command, first)
            );
        }
        Then::new(C::NAME, after, decided)
    }

    /// The given events, and then these.
    #[track_caller]
    fn fold(&self, more: &[&S::Event]) -> S {
        let mut state = S::default();
        for event in self.events.iter().map(|(_, event)| event).chain(more.iter().copied()) {
            state.evolve(&round_trip(event));
        }
        state
    }
}

/// An event with the stream that it is recorded in.
struct Placed {
    stream: StreamId,
    written: Written,
}

impl Placed {
    #[track_caller]
    fn new<S: Scope<C>, C: Command>(stream: Option<&str>, command: &C, event: &S::Event) -> Self {
        let written = match event.write() {
            Ok(written) => written,
            Err(error) => panic!("an event cannot be written: {error}"),
        };
        let name = written.event_type.name();
        let stream = match stream.map_or_else(|| S::home(command, event), StreamId::new) {
            Ok(stream) => stream,
            Err(error) => panic!("`{name}` has no home stream: {error}"),
        };
        if let Some(own) = event.stream().filter(|own| **own != stream) {
            panic!("`{name}` says that it stands in stream `{own}`, but is recorded in `{stream}`");
        }
        assert!(
            stream.category() == written.category,
            "`{name}` is of category `{}` and cannot be recorded in stream `{stream}`",
            written.category
        );
        Self { stream, written }
    }

    fn matches(&self, query: &Query) -> bool {
        query.matches(&recorded(&self.stream, self.written.clone()))
    }
}

impl fmt::Display for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` in stream `{}`", self.written.event_type.name(), self.stream)
    }
}

/// A decision as what would be recorded of it and told.
fn comparable<S: Decide<C>, C: Command>(
    decided: Result<Decision<S::Event, S::Reply>, S::Rejection>,
) -> (Vec<Option<Written>>, Option<serde_json::Value>) {
    match decided.map(Decision::into_parts) {
        Ok((events, reply)) => {
            (events.iter().map(|event| event.write().ok()).collect(), serde_json::to_value(reply).ok())
        }
        Err(rejection) => (vec![None], serde_json::to_value(rejection).ok()),
    }
}

impl<S: State> Debug for GivenScope<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GivenScope")
            .field("events", &self.events.len())
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}
