//! The fixture: accounts, projections of them, a log and its service.

use std::{
    str,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use annalist_core::{Append, Cursor, EventId, EventStore, EventType, Expected, NewEvent, StreamId, Tag};
use annalist_memory::MemoryStore;
use bytes::Bytes;

use crate::{
    env::TestEnv,
    event::{DecodeError, EncodeError, EventSet, Recorded},
    projection::{
        ApplyError, Embedded, KeyValueStore, MemoryKeyValue, Projection, ProjectionOptions, ProjectionSet,
        ProjectionState, Projections, Table, Tx,
    },
};

pub(super) const PATIENCE: Duration = Duration::from_secs(30);
pub(super) const ACCOUNTS: u64 = 7;
const APPEND_EVENTS: usize = 1000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AccountEvent {
    Deposited(i64),
    Withdrawn(i64),
}

impl EventSet for AccountEvent {
    const CATEGORY: &'static str = "account";
    const TYPES: &'static [(&'static str, u16)] = &[("money-deposited", 1), ("money-withdrawn", 1)];

    fn event_type(&self) -> (&'static str, u16) {
        match self {
            Self::Deposited(_) => ("money-deposited", 1),
            Self::Withdrawn(_) => ("money-withdrawn", 1),
        }
    }

    fn tags(&self) -> Result<Vec<Tag>, EncodeError> {
        Ok(Vec::new())
    }

    fn encode(&self) -> Result<Bytes, EncodeError> {
        let (Self::Deposited(amount) | Self::Withdrawn(amount)) = self;
        Ok(amount.to_string().into())
    }

    fn decode(name: &str, version: u16, payload: &[u8]) -> Result<Self, DecodeError> {
        let (name, make) = match name {
            "money-deposited" => ("money-deposited", Self::Deposited as fn(i64) -> Self),
            _ => ("money-withdrawn", Self::Withdrawn as fn(i64) -> Self),
        };
        if version > 1 {
            return Err(DecodeError::FutureVersion { name, recorded: version, known: 1 });
        }
        let amount = str::from_utf8(payload).ok().and_then(|text| text.parse().ok());
        amount.map(make).ok_or_else(|| DecodeError::Payload { name, version, detail: "not a number".to_owned() })
    }
}

pub(super) const BALANCES: Table<String, i64> = Table::new("balances");
/// Number of events, sum of the balances.
pub(super) const TOTALS: Table<(), (u64, i64)> = Table::new("totals");

/// The rows of an event, for all projections here.
pub(super) fn count(event: &Recorded<AccountEvent>, tx: &mut Tx) -> Result<(), ApplyError> {
    let amount = match event.event {
        AccountEvent::Deposited(amount) => amount,
        AccountEvent::Withdrawn(amount) => -amount,
    };
    tx.update(&BALANCES, &event.record.stream().to_owned(), |balance| *balance += amount)?;
    tx.update(&TOTALS, &(), |(events, sum)| {
        *events += 1;
        *sum += amount;
    })?;
    Ok(())
}

#[derive(Clone, Default)]
pub(super) struct Balances;

impl Projection for Balances {
    const NAME: &'static str = "balances";
    const VERSION: u32 = 1;
    type Event = AccountEvent;
    type Model = Embedded;

    async fn apply(&self, event: &Recorded<AccountEvent>, tx: &mut Tx) -> Result<(), ApplyError> {
        // Gives others a turn, so that tests can interrupt it in the middle of a batch.
        tokio::task::yield_now().await;
        count(event, tx)
    }
}

/// The same view by a projection that fails or panics at positions that a test chooses.
#[derive(Clone, Default)]
pub(super) struct Moody {
    pub(super) fails_at: Arc<AtomicU64>,
    pub(super) panics_at: Arc<AtomicU64>,
    /// How often it still fails; for ever if it begins at `u64::MAX`.
    pub(super) failures: Arc<AtomicU64>,
    pub(super) attempts: Arc<AtomicU64>,
}

impl Moody {
    pub(super) fn failing(position: u64, failures: u64) -> Self {
        let moody = Self::default();
        moody.fails_at.store(position, Ordering::SeqCst);
        moody.failures.store(failures, Ordering::SeqCst);
        moody
    }
}

impl Projection for Moody {
    const NAME: &'static str = "moody";
    const VERSION: u32 = 1;
    type Event = AccountEvent;
    type Model = Embedded;

    async fn apply(&self, event: &Recorded<AccountEvent>, tx: &mut Tx) -> Result<(), ApplyError> {
        count(event, tx)?;
        let position = event.record.position.get();
        assert!(position != self.panics_at.load(Ordering::SeqCst), "a bug in the projection");
        if position == self.fails_at.load(Ordering::SeqCst) {
            self.attempts.fetch_add(1, Ordering::SeqCst);
            if self.failures.load(Ordering::SeqCst) > 0 {
                self.failures.fetch_sub(1, Ordering::SeqCst);
                return Err(ApplyError::new("not in the mood"));
            }
        }
        Ok(())
    }
}

/// What is there without the service: it survives restarts.
#[derive(Clone)]
pub(super) struct World {
    pub(super) log: Arc<dyn EventStore>,
    pub(super) views: Arc<dyn KeyValueStore>,
    pub(super) options: ProjectionOptions,
}

impl World {
    pub(super) fn new() -> Self {
        Self::of(MemoryStore::new(), MemoryKeyValue::new())
    }

    pub(super) fn of(log: impl EventStore, views: impl KeyValueStore) -> Self {
        let mut options = ProjectionOptions::default();
        (options.live_batch_events, options.rebuild_batch_events) = (16, 64);
        options.patience = PATIENCE;
        Self { log: Arc::new(log), views: Arc::new(views), options }
    }

    pub(super) fn set(&self) -> ProjectionSet {
        let env = Arc::new(TestEnv::default());
        ProjectionSet::new(Arc::clone(&self.log), Arc::clone(&self.views), env).with_options(self.options.clone())
    }

    pub(super) async fn start<P: Projection<Model = Embedded>>(&self, projection: P) -> Projections {
        let mut set = self.set();
        set.register(projection);
        set.start().await.unwrap()
    }

    /// Records deposits and withdrawals of several accounts and tells the cursor of the last.
    pub(super) async fn record(&self, events: impl IntoIterator<Item = AccountEvent>) -> Cursor {
        let events: Vec<_> = events.into_iter().zip(1..).collect();
        let mut last = Cursor::START;
        for events in events.chunks(APPEND_EVENTS) {
            let append = events.iter().fold(Append::new(), |append, (event, number): &(_, u64)| {
                let (name, version) = event.event_type();
                let event_type = EventType::versioned(name, version).unwrap();
                let new = NewEvent::new(EventId::generate(), event_type, event.encode().unwrap());
                append.events(StreamId::of("account", number % ACCOUNTS).unwrap(), Expected::Any, [new])
            });
            last = self.log.append(append).await.unwrap().cursor;
        }
        last
    }

    /// Records an event that no projection here follows, or one of `account-1` that cannot be decoded.
    pub(super) async fn record_raw(&self, stream: &str, event_type: EventType, payload: &'static str) -> Cursor {
        let event = NewEvent::new(EventId::generate(), event_type, payload);
        let append = Append::new().events(StreamId::new(stream).unwrap(), Expected::Any, [event]);
        self.log.append(append).await.unwrap().cursor
    }

    /// Every row of the views, as the key-value store has it.
    pub(super) fn raw_rows(&self) -> Vec<Vec<u8>> {
        let mut keys = Vec::new();
        self.views
            .read(&mut |rows| {
                rows.scan(b"\0"..b"\xff", annalist_core::Direction::Forward, &mut |key, _| {
                    keys.push(key.to_vec());
                    std::ops::ControlFlow::Continue(())
                })
                .unwrap();
            })
            .unwrap();
        keys
    }
}

/// `count` events: deposits of 1, 2, 3 and so on, every fifth a withdrawal.
pub(super) fn movements(count: i64) -> impl Iterator<Item = AccountEvent> {
    (1..=count).map(|n| if n % 5 == 0 { AccountEvent::Withdrawn(n) } else { AccountEvent::Deposited(n) })
}

pub(super) fn sum(count: i64) -> i64 {
    movements(count).fold(0, |sum, event| match event {
        AccountEvent::Deposited(amount) => sum + amount,
        AccountEvent::Withdrawn(amount) => sum - amount,
    })
}

/// The state of the only projection, once it is as wanted.
pub(super) async fn state_when(
    projections: &Projections,
    wanted: impl Fn(&ProjectionState) -> bool,
) -> ProjectionState {
    let waiting = async {
        loop {
            let state = projections.status().await.unwrap().remove(0).state;
            if wanted(&state) {
                return state;
            }
            // Not a yield: a paused clock moves on only when every task waits.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap()
}
