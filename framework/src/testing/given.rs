//! Tests of decisions.

use std::fmt::{self, Debug};

use annalist_core::{EventId, Position, RecordedEvent, StreamId, Timestamp, Version};
use uuid::Uuid;

use super::difference::difference;
use crate::{
    aggregate::State,
    command::{Command, CommandId, Context, Decide, Decision},
    env::TestEnv,
    event::{Events, Written},
};

/// A state folded from these events, each after a round trip through its bytes. For a scope
/// [`given_scope`](super::given_scope) checks more.
///
/// # Panics
/// When an event cannot be encoded or decoded: the test fails.
#[track_caller]
pub fn given<S: State>(events: impl IntoIterator<Item = S::Event>) -> Given<S> {
    let mut state = S::default();
    for event in events {
        state.evolve(&round_trip(&event));
    }
    Given { state, context: standing_context() }
}

/// The circumstances of a test that says nothing of them.
pub(super) fn standing_context() -> Context {
    Context::new(CommandId::new(Uuid::from_u128(1)), TestEnv::START)
}

/// The command as it is read after it was written.
#[track_caller]
pub(super) fn read_again<C: Command>(command: &C) -> C {
    let read = serde_json::to_vec(command).and_then(|json| serde_json::from_slice(&json));
    match read {
        Ok(command) => command,
        Err(error) => panic!("the command `{}` does not come back as it went: {error}", C::NAME),
    }
}

/// The event as it is read after it was written.
#[track_caller]
pub(super) fn round_trip<E: Events>(event: &E) -> E {
    let written = match event.write() {
        Ok(written) => written,
        Err(error) => panic!("an event cannot be written: {error}"),
    };
    let (event_type, payload) = (written.event_type.clone(), written.payload.clone());
    let stream = match event.stream().map_or_else(|| StreamId::of(written.category, 1), |stream| Ok(stream.clone())) {
        Ok(stream) => stream,
        Err(error) => panic!("the category `{}` names no stream: {error}", written.category),
    };
    let why = match E::read(&recorded(&stream, written)) {
        Ok(Some(event)) => return event,
        Ok(None) => "it is not declared".to_owned(),
        Err(error) => format!("{error}\n{}", String::from_utf8_lossy(&payload)),
    };
    panic!("`{}` version {} does not come back as it went: {why}", event_type.name(), event_type.version());
}

/// The event as a log would hold it.
pub(super) fn recorded(stream: &StreamId, written: Written) -> RecordedEvent {
    let event = written.with_id(EventId::new(Uuid::from_u128(1)));
    RecordedEvent::record(stream, &event, Position::new(1), Version::new(1), TestEnv::START)
}

/// The declared name of an event.
fn name_of<E: Events>(event: &E) -> String {
    event.write().map_or_else(|error| error.to_string(), |written| written.event_type.name().to_owned())
}

/// What is so when a command comes.
#[must_use = "a test needs a command: `.when(...)`"]
pub struct Given<S> {
    state: S,
    context: Context,
}

impl<S: State> Given<S> {
    /// At this time, instead of [`TestEnv::START`].
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
    /// When the command cannot be written or read.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "a test reads better without ampersands")]
    pub fn when<C: Command>(self, command: C) -> Then<S, S::Event, S::Reply, S::Rejection>
    where
        S: Decide<C>,
    {
        let command = read_again(&command);
        let Self { mut state, context } = self;
        let decided = state.decide(&command, &context).map(Decision::into_parts);
        if let Ok((events, _)) = &decided {
            for event in events {
                state.evolve(event);
            }
        }
        Then::new(C::NAME, state, decided)
    }
}

/// What comes of a command. Every check gives it back, for the next one.
pub struct Then<S, E, R, J> {
    command: &'static str,
    state: S,
    decided: Result<(Vec<E>, R), J>,
}

impl<S, E, R, J> Then<S, E, R, J> {
    pub(super) fn new(command: &'static str, state: S, decided: Result<(Vec<E>, R), J>) -> Self {
        Self { command, state, decided }
    }
}

#[expect(clippy::return_self_not_must_use, reason = "the last check of a test has nothing behind it")]
impl<S, E, R, J> Then<S, E, R, J>
where
    S: State<Event = E>,
    E: Events + Debug + PartialEq,
    R: Debug + PartialEq,
    J: Debug,
{
    /// It emits exactly these events, in this order; they come back from their bytes as they went.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn then_emits(self, expected: impl IntoIterator<Item = E>) -> Self {
        let expected: Vec<E> = expected.into_iter().collect();
        let (events, _) = self.accepted();
        assert!(
            *events == expected,
            "`{}` emits other events than expected\n{}",
            self.command,
            difference(&expected, events)
        );
        for event in events {
            let read = round_trip(event);
            assert!(
                read == *event,
                "`{}` is read as another event than was written\n{}",
                name_of(event),
                difference(event, &read)
            );
        }
        self
    }

    /// It emits no event.
    ///
    /// # Panics
    /// When it does.
    #[track_caller]
    pub fn then_nothing(self) -> Self {
        self.then_emits([])
    }

    /// It replies this.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "a test reads better without ampersands")]
    pub fn then_replies(self, expected: R) -> Self {
        let (_, reply) = self.accepted();
        assert!(*reply == expected, "`{}` replies otherwise\n{}", self.command, difference(&expected, reply));
        self
    }

    /// It is rejected for this reason.
    ///
    /// # Panics
    /// When it is accepted, or rejected for another.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "a test reads better without ampersands")]
    pub fn then_rejected(self, expected: J) -> Self
    where
        J: PartialEq,
    {
        match &self.decided {
            Err(rejection) => assert!(
                *rejection == expected,
                "`{}` is rejected for another reason\n{}",
                self.command,
                difference(&expected, rejection)
            ),
            Ok((events, _)) => panic!(
                "`{}` is accepted, but should be rejected with {expected:?}; it emits\n{events:#?}",
                self.command
            ),
        }
        self
    }

    /// Looks at the state as it is afterwards, its events taken in.
    ///
    /// # Panics
    /// When `look` does.
    #[track_caller]
    pub fn then_state(self, look: impl FnOnce(&S)) -> Self {
        look(&self.state);
        self
    }

    #[track_caller]
    fn accepted(&self) -> &(Vec<E>, R) {
        match &self.decided {
            Ok(accepted) => accepted,
            Err(rejection) => panic!("`{}` is rejected, but should be accepted: {rejection:?}", self.command),
        }
    }
}

impl<S, E: Debug, R: Debug, J: Debug> Debug for Then<S, E, R, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Then").field("command", &self.command).field("decided", &self.decided).finish_non_exhaustive()
    }
}

impl<S> Debug for Given<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").field("context", &self.context).finish_non_exhaustive()
    }
}
