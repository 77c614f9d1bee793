//! Tests of sagas: inputs in, effects out, at a time that the test moves.

use std::{
    fmt::{self, Debug},
    time::Duration,
};

use annalist_core::{Cursor, Epoch, EventId, Position, RecordedEvent, StoreId, StreamId, Timestamp, Version};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::difference::difference;
use crate::{
    aggregate::Aggregate,
    command::{Command, CommandSet, Decide},
    env::TestEnv,
    event::{EventSet, Events, Recorded, Written},
    projection::GivenEvent,
    saga::{EffectId, Instance, Route, Saga, Sent},
};

/// An instance of a saga that has taken in these events, each after a round trip through its bytes. The first begins it.
///
/// What the instance sends stays without an outcome until the test says one: [`GivenSaga::accepted`] or
/// [`GivenSaga::rejected`].
///
/// # Panics
/// When an event cannot be encoded or decoded, is not for the instance, or the saga does: the test fails.
#[track_caller]
pub fn given_saga<S: Saga>(events: impl IntoIterator<Item = impl Into<GivenEvent<S::Event>>>) -> GivenSaga<S> {
    let mut commands = CommandSet::default();
    S::commands(&mut commands);
    let mut given = GivenSaga {
        instance: None,
        commands,
        now: TestEnv::START,
        position: Position::ZERO,
        sent: Vec::new(),
        news: 0,
    };
    for event in events {
        given.take_event(event.into());
    }
    given
}

/// A saga's instance under test. Every step and every check gives it back, for the next one.
pub struct GivenSaga<S: Saga> {
    instance: Option<(String, Instance<S>)>,
    commands: CommandSet,
    now: Timestamp,
    position: Position,
    /// All commands that were sent.
    sent: Vec<Sent>,
    /// Those from here on were sent by the last step.
    news: usize,
}

/// A command as a saga is expected to send it: `to::<Account, _>("alice", Withdraw { .. })`.
///
/// # Panics
/// When the command cannot be written as JSON.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "a test reads better without ampersands")]
pub fn to<A: Aggregate + Decide<C>, C: Command>(id: impl ToString, command: C) -> ExpectedCommand {
    let content = match serde_json::to_value(&command) {
        Ok(content) => content,
        Err(error) => panic!("the command `{}` cannot be written as JSON: {error}", C::NAME),
    };
    ExpectedCommand { command: C::NAME.to_owned(), to: format!("{}-{}", A::Event::CATEGORY, id.to_string()), content }
}

/// A command that is expected.
#[derive(Clone, PartialEq, Debug)]
pub struct ExpectedCommand {
    command: String,
    to: String,
    content: Value,
}

impl From<&Sent> for ExpectedCommand {
    fn from(sent: &Sent) -> Self {
        let to = format!("{}-{}", sent.category(), sent.target());
        Self { command: sent.name().to_owned(), to, content: sent.content().clone() }
    }
}

#[expect(
    clippy::return_self_not_must_use,
    clippy::must_use_candidate,
    reason = "the last check of a test has nothing behind it"
)]
impl<S: Saga> GivenSaga<S> {
    /// Takes in an event, as one of its own streams or as `("account-alice", event)`.
    ///
    /// # Panics
    /// When the event is not for the instance, or the saga does.
    #[track_caller]
    pub fn when(mut self, event: impl Into<GivenEvent<S::Event>>) -> Self {
        self.take_event(event.into());
        self
    }

    /// The first command without an outcome is accepted, with this reply.
    ///
    /// # Panics
    /// When there is no such command.
    #[track_caller]
    pub fn accepted(mut self, reply: impl Serialize) -> Self {
        let reply = to_json("the reply", &reply);
        self.settle(|instance, effect, now| instance.accept(effect, reply, false, now));
        self
    }

    /// The first command without an outcome is rejected for this reason: what the aggregate's `Decide` names as its
    /// `Rejection`.
    ///
    /// # Panics
    /// When there is no such command.
    #[track_caller]
    pub fn rejected(mut self, rejection: impl std::error::Error + Serialize) -> Self {
        let (message, detail) = (rejection.to_string(), to_json("the rejection", &rejection));
        self.settle(|instance, effect, now| instance.reject(effect, message, detail, now));
        self
    }

    /// A person lets the instance out of quarantine: the command that it is there for is sent again.
    ///
    /// # Panics
    /// When it is in none.
    #[track_caller]
    pub fn released(mut self) -> Self {
        self.news = self.sent.len();
        let (key, instance) = self.expect_instance();
        assert!(instance.release(), "the instance `{key}` of `{}` is not in quarantine", S::NAME);
        self
    }

    /// A person gives up the first command without an outcome.
    ///
    /// # Panics
    /// When there is no such command.
    #[track_caller]
    pub fn skipped(mut self, why: &str) -> Self {
        self.by_hand(|instance, effect, now| instance.skip(effect, why, now));
        self
    }

    /// A person counts the first command without an outcome as done, with this reply.
    ///
    /// # Panics
    /// When there is no such command.
    #[track_caller]
    pub fn forced(mut self, reply: impl Serialize) -> Self {
        let reply = to_json("the reply", &reply);
        self.by_hand(|instance, effect, now| instance.accept(effect, reply, true, now));
        self
    }

    /// The instance is in quarantine, for a reason that contains this.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn then_quarantined(mut self, reason: &str) -> Self {
        let (key, instance) = self.expect_instance();
        let found = instance.quarantine().unwrap_or("none");
        assert!(
            found.contains(reason),
            "`{key}` of `{}` is in quarantine for: {found}
expected: {reason}",
            S::NAME
        );
        self
    }

    /// Lets so much time pass, and fires the timers that fall due, in order.
    ///
    /// # Panics
    /// When the saga does.
    #[track_caller]
    pub fn after(mut self, time: Duration) -> Self {
        self.news = self.sent.len();
        let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        let until = Timestamp::from_micros(self.now.as_micros().saturating_add(micros));
        while let Some((due, id)) = self.instance.as_ref().and_then(|(_, instance)| instance.first_timer())
            && due <= until
        {
            self.now = self.now.max(due);
            let (_, instance) = self.expect_instance();
            let sent = instance.fire(id, due);
            self.took(sent);
        }
        self.now = until;
        self
    }

    /// The last step sends exactly these commands, in this order; each is registered, and is read as it was written.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn then_sends(self, expected: impl IntoIterator<Item = ExpectedCommand>) -> Self {
        let expected: Vec<_> = expected.into_iter().collect();
        let sent = self.sent.iter().skip(self.news).map(ExpectedCommand::from).collect::<Vec<_>>();
        assert!(expected == sent, "`{}` sends other commands than expected\n{}", S::NAME, difference(&expected, &sent));
        self
    }

    /// The last step sends no command.
    ///
    /// # Panics
    /// When it does.
    #[track_caller]
    pub fn then_nothing(self) -> Self {
        self.then_sends([])
    }

    /// Looks at the state.
    ///
    /// # Panics
    /// When there is no instance, or `look` does.
    #[track_caller]
    pub fn then_state(mut self, look: impl FnOnce(&S)) -> Self {
        let (_, instance) = self.expect_instance();
        look(&instance.state());
        self
    }

    /// These timers are set, the first due first, each with the time until then.
    ///
    /// # Panics
    /// When they are not.
    #[track_caller]
    pub fn then_timers(mut self, expected: impl IntoIterator<Item = (S::Timer, Duration)>) -> Self {
        let expected: Vec<_> =
            expected.into_iter().map(|(timer, after)| (to_json("the timer", &timer), after)).collect();
        let now = self.now;
        let (_, instance) = self.expect_instance();
        let timers = instance.timers_from(now);
        assert!(expected == timers, "`{}` has other timers than expected\n{}", S::NAME, difference(&expected, &timers));
        self
    }

    /// The instance is done.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn then_completed(mut self) -> Self {
        let (key, instance) = self.expect_instance();
        assert!(instance.is_completed(), "the instance `{key}` of `{}` is not completed", S::NAME);
        self
    }

    #[track_caller]
    fn expect_instance(&mut self) -> &mut (String, Instance<S>) {
        match &mut self.instance {
            Some(instance) => instance,
            None => panic!("`{}` has no instance: its first event routes to `Route::Start`", S::NAME),
        }
    }

    #[track_caller]
    fn take_event(&mut self, event: GivenEvent<S::Event>) {
        self.news = self.sent.len();
        self.position = self.position.next();
        let (stream, event) = event.into_parts();
        let recorded = record::<S::Event>(stream, &event, self.position, self.now);
        let what = format!("`{}` in {}", recorded.record.type_name(), recorded.record.stream());
        let now = self.now;
        let sent = match (S::route(&recorded), &mut self.instance) {
            (Route::Start(key), none @ None) => {
                let (_, instance) = none.insert((key.clone(), Instance::new(&key)));
                instance.take_event(recorded, now)
            }
            (Route::Start(key) | Route::Continue(key), Some((own, instance))) => {
                assert!(key == *own, "{what} is for the instance `{key}`, not for `{own}`");
                instance.take_event(recorded, now)
            }
            (route, _) => panic!("{what} is not for the instance: it routes to {route:?}"),
        };
        self.took(sent);
    }

    #[track_caller]
    fn settle(&mut self, settle: impl FnOnce(&mut Instance<S>, EffectId, Timestamp) -> Result<Vec<Sent>, String>) {
        let (_, instance) = self.expect_instance();
        if let Some(why) = instance.quarantine() {
            panic!("`{}` is in quarantine and sends nothing: {why}", S::NAME);
        }
        self.by_hand(settle);
    }

    /// The first command without an outcome has one now.
    #[track_caller]
    fn by_hand(&mut self, settle: impl FnOnce(&mut Instance<S>, EffectId, Timestamp) -> Result<Vec<Sent>, String>) {
        self.news = self.sent.len();
        let now = self.now;
        let (_, instance) = self.expect_instance();
        let Some(effect) = instance.first_pending() else {
            panic!("`{}` has sent no command that waits for an outcome", S::NAME)
        };
        let sent = settle(instance, effect, now);
        self.took(sent);
    }

    /// A step was taken.
    #[track_caller]
    fn took(&mut self, sent: Result<Vec<Sent>, String>) {
        let sent = match sent {
            Ok(sent) => sent,
            Err(why) => panic!("`{}` cannot take it in: {why}", S::NAME),
        };
        for sent in &sent {
            if let Err(why) = self.commands.check(sent.category(), sent.target(), sent.name(), sent.content()) {
                panic!("`{}` sends what cannot be executed: {why}", S::NAME);
            }
        }
        self.sent.extend(sent);
        let (_, instance) = self.expect_instance();
        if let Err(why) = instance.round_trip() {
            panic!("the state of `{}` does not come back as it went: {why}", S::NAME);
        }
    }
}

#[track_caller]
fn to_json(what: &str, value: &impl Serialize) -> Value {
    match serde_json::to_value(value) {
        Ok(value) => value,
        Err(error) => panic!("{what} cannot be written as JSON: {error}"),
    }
}

/// An event as a saga reads it.
#[track_caller]
fn record<E: Events>(stream: Option<String>, event: &E, position: Position, time: Timestamp) -> Recorded<E> {
    let recorded = event.write().map_err(|error| error.to_string()).and_then(|written| {
        let stream = stream.unwrap_or_else(|| format!("{}-1", written.category));
        let stream = StreamId::new(stream).map_err(|error| error.to_string())?;
        let id = EventId::new(Uuid::from_u128(u128::from(position.get())));
        let new = Written::with_id(written, id);
        let record = RecordedEvent::record(&stream, &new, position, Version::new(position.get()), time);
        let log = Cursor { store: StoreId::new(Uuid::from_u128(1)), epoch: Epoch::FIRST, position };
        let read = Recorded::decode(record, log).map_err(|error| error.to_string())?;
        read.ok_or_else(|| "it is read as none of its own kind".to_owned())
    });
    match recorded {
        Ok(recorded) => recorded,
        Err(error) => panic!("an event does not come back as it went: {error}"),
    }
}

impl<S: Saga> Debug for GivenSaga<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GivenSaga")
            .field("key", &self.instance.as_ref().map(|(key, _)| key))
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}
