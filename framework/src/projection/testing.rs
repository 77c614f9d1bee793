//! Given events, then rows: tests of projections without a store, a runtime or a clock.

use std::{
    collections::HashMap,
    fmt,
    ops::ControlFlow,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use annalist_core::{Cursor, Epoch, EventId, Position, RecordedEvent, StoreId, StreamId, Timestamp, Version};
use uuid::Uuid;

use super::{
    embedded::{Embedded, Tx, View},
    key_value::MemoryKeyValue,
    model::Projection,
};
use crate::event::{Events, Recorded, Written};

/// When the first event of a test is recorded: 2024-01-01T00:00:00Z. Each further one is a second later.
const FIRST_MICROS: i64 = 1_704_067_200_000_000;

/// An event that a test gives: by itself, or as `("account-alice", event)` with the stream that it belongs to.
#[derive(Clone, Debug)]
pub struct GivenEvent<E> {
    stream: Option<String>,
    event: E,
}

impl<E> GivenEvent<E> {
    /// The stream, if the test names one, and the event.
    pub(crate) fn into_parts(self) -> (Option<String>, E) {
        (self.stream, self.event)
    }
}

impl<E: Events> From<E> for GivenEvent<E> {
    /// In the stream `category-1`.
    fn from(event: E) -> Self {
        Self { stream: None, event }
    }
}

impl<E: Events> From<(&str, E)> for GivenEvent<E> {
    fn from((stream, event): (&str, E)) -> Self {
        Self { stream: Some(stream.to_owned()), event }
    }
}

/// Applies events to an empty view in memory, each in a transaction of its own, after a round trip through their bytes.
///
/// ```
/// # use annalist::projection::*;
/// # fn test<P: Projection<Model = Embedded>>(balances: P, opened: P::Event, deposited: P::Event) {
/// # const BALANCES: Table<String, i64> = Table::new("balances");
/// given_view(balances, [("account-alice", opened), ("account-alice", deposited)])
///     .replayed_twice()
///     .then(|view| assert_eq!(view.get(&BALANCES, &"alice".to_owned()), Ok(Some(50))));
/// # }
/// ```
///
/// # Panics
/// When an event cannot be encoded, decoded or applied, or a stream's name is not valid: the test fails.
#[track_caller]
pub fn given_view<P, E>(projection: P, events: impl IntoIterator<Item = E>) -> GivenView<P>
where
    P: Projection<Model = Embedded>,
    E: Into<GivenEvent<P::Event>>,
{
    let store = Arc::new(MemoryKeyValue::new());
    let model = succeed("open the view", Embedded::open_now(store, P::NAME, P::VERSION));
    succeed("promote the view", model.promote_now(false));
    let given = GivenView { projection, model, log: given_log(events) };
    for event in &given.log {
        given.apply(&given.model, std::slice::from_ref(event));
    }
    given
}

/// Events as a store would have recorded them and as they are read from it, for tests of read models of other kinds:
/// position after position, each a second after the one before, after a round trip through their bytes.
///
/// # Panics
/// When an event cannot be encoded or decoded, or a stream's name is not valid: the test fails.
#[must_use]
#[track_caller]
pub fn given_log<Set: Events, E>(events: impl IntoIterator<Item = E>) -> Vec<Recorded<Set>>
where
    E: Into<GivenEvent<Set>>,
{
    let mut versions = HashMap::<StreamId, Version>::new();
    let mut log = Vec::new();
    for (position, given) in (1..).zip(events) {
        let GivenEvent { stream, event } = given.into();
        let written = succeed("write the event", event.write());
        let stream = stream.unwrap_or_else(|| format!("{}-1", written.category));
        let stream = succeed("name the stream", StreamId::new(stream));
        let version = versions.entry(stream.clone()).or_default();
        *version = version.next();
        let record = record(&stream, written, Position::new(position), *version);
        let what = format!("decode {} at position {} of {}", record.type_name(), record.position, record.stream());
        let cursor = Cursor { store: StoreId::new(Uuid::from_u128(1)), epoch: Epoch::FIRST, position: record.position };
        log.extend(succeed(&what, Recorded::decode(record, cursor)));
    }
    log
}

#[track_caller]
fn record(stream: &StreamId, event: Written, position: Position, version: Version) -> RecordedEvent {
    let id = EventId::new(Uuid::from_u128(u128::from(position.get())));
    let seconds = i64::try_from(position.get().saturating_sub(1)).unwrap_or(i64::MAX);
    let time = Timestamp::from_micros(seconds.saturating_mul(1_000_000).saturating_add(FIRST_MICROS));
    RecordedEvent::record(stream, &event.with_id(id), position, version, time)
}

/// A view in memory with the given events applied.
pub struct GivenView<P: Projection> {
    projection: P,
    model: Embedded,
    log: Vec<Recorded<P::Event>>,
}

impl<P: Projection<Model = Embedded>> GivenView<P> {
    /// Replays the events into a second view, all in one transaction, and checks that it has the same rows: a
    /// projection may depend on nothing but the events, and not on where a transaction ends.
    ///
    /// # Panics
    /// When the rows differ.
    #[must_use]
    #[track_caller]
    pub fn replayed_twice(self) -> Self {
        let again = succeed("make a second view", self.model.shadow_now());
        self.apply(&again, &self.log);
        let (first, second) = (rows(&self.model), rows(&again));
        assert!(
            first == second,
            "`{}` gives other rows when it is replayed; it depends on something besides the events\n{}",
            P::NAME,
            difference(&first, &second)
        );
        succeed("drop the second view", again.discard_now());
        self
    }

    /// Looks at the view; returns what `look` returns.
    ///
    /// # Panics
    /// When `look` does.
    #[track_caller]
    pub fn then<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        succeed("read the view", self.model.view_now(look))
    }

    #[track_caller]
    fn apply(&self, model: &Embedded, events: &[Recorded<P::Event>]) {
        let Some(last) = events.last() else { return };
        let (mut tx, _): (Tx, _) = succeed("begin", model.begin_now());
        if let [recorded] = events {
            let record = &recorded.record;
            let applied = block_on(self.projection.apply(recorded, &mut tx));
            let (name, position, stream) = (record.type_name(), record.position, record.stream());
            succeed(&format!("apply {name} at position {position} of {stream}"), applied);
        } else {
            succeed("apply all events together", block_on(self.projection.apply_all(events, &mut tx)));
        }
        succeed("commit", Embedded::commit_now(tx, last.cursor));
    }
}

type RawRows = Vec<(Vec<u8>, Vec<u8>)>;

/// All rows of an instance, keys from the table's name on.
#[track_caller]
fn rows(model: &Embedded) -> RawRows {
    let mut rows = RawRows::new();
    let scanned = model.view_now(|view| {
        view.visit_all(&mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })
    });
    succeed("read the rows", scanned.and_then(|scanned| scanned));
    rows
}

fn difference(first: &RawRows, second: &RawRows) -> String {
    let only = |a: &RawRows, b: &RawRows, mark| {
        let rows = a.iter().filter(|row| !b.contains(row));
        rows.map(|(key, value)| format!("  {mark} {} = {value:02x?}", key.escape_ascii())).collect::<Vec<_>>()
    };
    [only(first, second, "first: "), only(second, first, "second:")].concat().join("\n")
}

#[track_caller]
fn succeed<T, E: fmt::Display>(doing: &str, result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("cannot {doing}: {error}"),
    }
}

/// Runs a future on this thread. A projection with an embedded view hardly ever waits.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut future, mut context) = (pin!(future), Context::from_waker(&waker));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

impl<P: Projection> fmt::Debug for GivenView<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GivenView")
            .field("projection", &P::NAME)
            .field("events", &self.log.len())
            .finish_non_exhaustive()
    }
}
