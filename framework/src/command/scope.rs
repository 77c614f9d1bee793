//! Decisions of a scope: they rest on everything that matches a query, whichever streams it stands in.

use std::{fmt, marker::PhantomData, sync::Arc};

use annalist_core::{Append, Appended, Cursor, EventId, Expected, Invalid, Query, Read, RecordedEvent, StreamId};

use super::{
    Command, CommandError, Decide, Execute, Target,
    basis::{Basis, Emitted},
    execute::Commands,
};
use crate::{
    aggregate::{Aggregates, LoadError, State},
    event::{DecodeError, Events},
};

/// What stands before a command's name in the scope of the keys of scoped commands. No stream's name begins with `-`, so
/// these keys are never those of an aggregate. It never changes: repetitions are recognised by it.
const KEY_SCOPE_PREFIX: &str = "-scope/";

/// A rule that no single stream can keep: a state folded from every event that matches a query, across streams and
/// categories, which decides about a command. It is recorded only if nothing that matches the query was recorded since
/// it was read; otherwise it is decided again. (The query is the decision's *consistency boundary*.)
///
/// To take an aggregate's own stream into the decision, let the query include it: "withdraw from this account, unless its
/// owner has made three large withdrawals today" rests on the account's stream *and* on the large withdrawals of the owner.
///
/// The state sees events and nothing else, so each should say in its fields what the rule needs: whose it is and when. Which
/// stream it stands in an event says when it is taken as [`InStream`](crate::InStream).
/// A window of time, such as "today", is for `decide` to look at, by [`Context::now`](crate::Context::now).
///
/// ```
/// use annalist::{App, Command, Context, Decide, Decision, Event, Invalid, Query, Scope, State, Store, StreamId, Tag};
/// use annalist::{emit, ensure};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Event, Clone, Debug)]
/// #[event(category = "enrolment")]
/// enum EnrolmentEvent {
///     #[event(name = "student-enrolled")]
///     Enrolled { #[event(tag)] student: String, #[event(tag)] course: String },
/// }
///
/// #[derive(Command, Serialize, Deserialize)]
/// #[command(name = "enrol")]
/// struct Enrol { student: String, course: String }
///
/// #[derive(Default)]
/// struct Places { taken: u32 }
///
/// impl State for Places {
///     type Event = EnrolmentEvent;
///     fn evolve(&mut self, _: &EnrolmentEvent) { self.taken += 1; }
/// }
///
/// #[derive(Debug, thiserror::Error, Serialize, Deserialize)]
/// #[error("the course is full")]
/// struct Full;
///
/// impl Decide<Enrol> for Places {
///     type Rejection = Full;
///     type Reply = ();
///     fn decide(&self, enrol: &Enrol, _: &Context) -> Result<Decision<EnrolmentEvent>, Full> {
///         ensure!(self.taken < 2, Full);
///         Ok(emit(EnrolmentEvent::Enrolled { student: enrol.student.clone(), course: enrol.course.clone() }))
///     }
/// }
///
/// impl Scope<Enrol> for Places {
///     fn query(enrol: &Enrol) -> Result<Query, Invalid> {
///         Ok(Query::tags([Tag::new(format!("course:{}", enrol.course))?]))
///     }
///     fn home(_: &Enrol, event: &EnrolmentEvent) -> Result<StreamId, Invalid> {
///         let EnrolmentEvent::Enrolled { student, .. } = event;
///         StreamId::of("enrolment", student)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::open(Store::memory()).start().await?;
/// let enrol = |student: &str| Enrol { student: student.to_owned(), course: "logic".to_owned() };
/// app.scope::<Places>().execute(enrol("ada")).await?;
/// app.scope::<Places>().execute(enrol("bob")).key("request-2").await?;
/// assert!(app.scope::<Places>().execute(enrol("cy")).await.is_err());
/// # Ok(()) }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a scope of this command",
    label = "`{Self}` has no `Scope` for it",
    note = "write `impl Scope<TheCommand> for {Self}`: `fn query` says which events the decision rests on, `fn home` in \
            which stream each of its events is recorded"
)]
pub trait Scope<C: Command>: Decide<C> {
    /// Which events the decision rests on. Everything that would make it decide otherwise must match, its own events
    /// included; what matches besides only costs time and needless repetitions, and a query that matches everything is
    /// in conflict with everyone.
    ///
    /// Events of categories that [`State::Event`] does not have are passed over. One of those categories that it does not
    /// declare is an error: declare it, or name the types in the query.
    ///
    /// # Errors
    /// [`Invalid`] when the command holds what cannot be part of a query.
    fn query(command: &C) -> Result<Query, Invalid>;

    /// The stream that an event of the decision is recorded in, at whatever version it has; its category must be the
    /// event's own.
    ///
    /// # Errors
    /// [`Invalid`] when the event or the command holds what cannot be part of a stream's name.
    fn home(command: &C, event: &Self::Event) -> Result<StreamId, Invalid>;
}

/// A scope, to be told something.
#[must_use = "nothing happens until a command is executed"]
pub struct InScope<S> {
    pub(super) commands: Arc<Commands>,
    scope: PhantomData<fn() -> S>,
}

impl<S: State> InScope<S> {
    pub(crate) fn new(commands: Arc<Commands>) -> Self {
        Self { commands, scope: PhantomData }
    }

    /// A command to it. It is executed when it is awaited.
    ///
    /// A key is unique for the command's name: which query the command makes does not matter.
    pub fn execute<C: Command>(self, command: C) -> Execute<Self, C>
    where
        S: Scope<C>,
    {
        Execute::new(self, command)
    }
}

impl<S> fmt::Debug for InScope<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InScope").finish_non_exhaustive()
    }
}

/// Everything that matches a query: a decision holds if nothing matching came behind what it has seen.
pub(super) struct QueryBasis<S> {
    query: Query,
    target: Target,
    scope: PhantomData<fn() -> S>,
}

/// A state folded from everything that matches a query, up to `head`.
pub(super) struct Seen<S> {
    state: S,
    head: Cursor,
}

impl<S: State> QueryBasis<S> {
    pub(super) fn new(query: Query) -> Self {
        Self { target: Target::Query(query.clone()), query, scope: PhantomData }
    }

    /// Folds what has been recorded since. When that fails half way, what was folded is not folded again.
    async fn fold(&self, aggregates: &Aggregates, seen: &mut Seen<S>) -> Result<(), LoadError> {
        let mut batches = aggregates.events.read(Read::query(self.query.clone(), seen.head.position)).await?;
        loop {
            let records = batches.next().await?;
            if records.is_empty() {
                seen.head = batches.head();
                return Ok(());
            }
            for record in &records {
                if let Some(event) = read::<S::Event>(record)? {
                    seen.state.evolve(&event);
                }
                seen.head = Cursor { position: record.position, ..batches.head() };
            }
        }
    }
}

/// Reads an event that matches; `None` if its category is none of those that are folded.
fn read<E: Events>(record: &RecordedEvent) -> Result<Option<E>, LoadError> {
    let source = match E::read(record) {
        Ok(Some(event)) => return Ok(Some(event)),
        Ok(None) if E::declared().iter().all(|declared| declared.category != record.category()) => return Ok(None),
        Ok(None) => DecodeError::UnknownType { name: record.type_name().to_owned() },
        Err(error) => error,
    };
    let stream = StreamId::new(record.stream()).map_err(LoadError::Id)?;
    Err(LoadError::Unreadable { stream, version: record.version, source })
}

impl<S: Scope<C>, C: Command> Basis<C> for QueryBasis<S> {
    type State = S;
    type Loaded = Seen<S>;
    type Version = ();

    fn target(&self) -> &Target {
        &self.target
    }

    fn key_scope(&self) -> String {
        format!("{KEY_SCOPE_PREFIX}{}", C::NAME)
    }

    fn state(loaded: &Seen<S>) -> &S {
        &loaded.state
    }

    fn cached(&self, _: &Aggregates) -> Option<Seen<S>> {
        None
    }

    fn cache(&self, _: &Aggregates, _: Seen<S>) {}

    async fn load(&self, aggregates: &Aggregates) -> Result<Seen<S>, LoadError> {
        let mut seen = Seen { state: S::default(), head: Cursor::START };
        self.fold(aggregates, &mut seen).await?;
        Ok(seen)
    }

    async fn catch_up(&self, aggregates: &Aggregates, loaded: &mut Seen<S>) -> Result<(), LoadError> {
        self.fold(aggregates, loaded).await
    }

    fn append(
        &self,
        command: &C,
        loaded: &Seen<S>,
        events: Vec<Emitted<'_, S::Event>>,
    ) -> Result<Append, CommandError> {
        let mut append = Append::new().unless(self.query.clone(), loaded.head);
        for Emitted { event, category, record } in events {
            let home = S::home(command, event).map_err(CommandError::unrecordable)?;
            if home.category() != category {
                return Err(CommandError::unrecordable(WrongHome::Category { home, category }));
            }
            if let Some(stream) = event.stream().filter(|stream| **stream != home) {
                return Err(CommandError::unrecordable(WrongHome::Stream { home, stream: stream.clone() }));
            }
            match append.entries.last_mut() {
                Some(entry) if entry.stream == home => entry.events.push(record),
                _ => append = append.events(home, Expected::Any, [record]),
            }
        }
        Ok(append)
    }

    async fn take_in(&self, _: &Aggregates, _: &mut Seen<S>, _: &[S::Event], _: u64, _: Option<EventId>) {}

    async fn version(&self, _: &Aggregates, _: &Appended) -> Result<(), CommandError> {
        Ok(())
    }
}

/// An event was to be recorded where nobody would look for it.
#[derive(Debug, thiserror::Error)]
enum WrongHome {
    #[error(
        "an event of category `{category}` cannot be recorded in stream `{home}`; let `Scope::home` name one of its own"
    )]
    Category { home: StreamId, category: &'static str },
    #[error(
        "an event that stands in stream `{stream}` cannot be recorded in `{home}`; let `Scope::home` name its stream"
    )]
    Stream { home: StreamId, stream: StreamId },
}
