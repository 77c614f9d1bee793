//! The traits that users and read models implement.

use std::{
    borrow::Cow,
    error::Error,
    fmt,
    future::{Future, ready},
};

use annalist_core::{Cursor, Position, RecordedEvent, StoreError};
use serde::{Deserialize, Serialize};

use super::{
    options::RebuildOptions,
    parking::{OnFailure, Parked},
    partition::{Partition, Reached},
    table::RowError,
};
use crate::event::{Events, Recorded};

/// Turns events into the rows of a read model.
///
/// The rows and the cursor of the last event change in one transaction, so every event is applied exactly once, also
/// across crashes. A projection has no effects beyond its rows: it will be replayed.
///
/// ```
/// use annalist::{Events, Recorded};
/// use annalist::projection::{ApplyError, Embedded, Projection, Table, Tx};
///
/// const EVENTS_PER_STREAM: Table<String, u64> = Table::new("events-per-stream");
///
/// struct Activity<E>(std::marker::PhantomData<fn() -> E>);
///
/// impl<E: Events> Projection for Activity<E> {
///     const NAME: &'static str = "activity";
///     const VERSION: u32 = 1;
///     type Event = E;
///     type Model = Embedded;
///
///     async fn apply(&self, event: &Recorded<E>, tx: &mut Tx) -> Result<(), ApplyError> {
///         tx.update(&EVENTS_PER_STREAM, &event.record.stream().to_owned(), |count| *count += 1)?;
///         Ok(())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a projection",
    note = "implement `Projection` for it: NAME, VERSION, the Event it follows, its Model, and `async fn apply`"
)]
pub trait Projection: Send + Sync + 'static {
    /// Its name in keys, status and commands: 1 to 64 bytes, none of them zero; unique within a service.
    const NAME: &'static str;

    /// Increment it whenever the same events must give other rows: the view is then replayed beside the old one, which
    /// stays in place for a rollback until the new one has caught up.
    const VERSION: u32;

    /// The events it follows, of one category or of several. Others are passed over.
    type Event: Events;

    /// Where its rows are: [`Embedded`](super::Embedded), for example.
    type Model: ReadModel;

    /// Applies one event. Users write `async fn apply`.
    ///
    /// # Errors
    /// [`ApplyError`]: the transaction is rolled back and tried again; if that does not help the projection does what
    /// [`Projection::on_failure`] says. Return `Ok` for an event that does not concern the view.
    fn apply(
        &self,
        event: &Recorded<Self::Event>,
        tx: &mut <Self::Model as ReadModel>::Tx,
    ) -> impl Future<Output = Result<(), ApplyError>> + Send;

    /// Whether [`Projection::apply_all`] is there, and is to be called for the events of a transaction.
    const APPLIES_ALL: bool = false;

    /// Applies the events of one transaction together. A view in a database that writes the rows of many events with one
    /// statement is filled and rebuilt many times as fast as one that needs a statement for each. It must come to the same rows
    /// as [`Projection::apply`], which `replayed_twice` of the test kit checks. Set [`Projection::APPLIES_ALL`] with it.
    ///
    /// # Errors
    /// [`ApplyError`]. It need not say which event is at fault: the transaction is rolled back, and the events are applied one
    /// by one, with `apply`, which then finds it.
    fn apply_all(
        &self,
        events: &[Recorded<Self::Event>],
        tx: &mut <Self::Model as ReadModel>::Tx,
    ) -> impl Future<Output = Result<(), ApplyError>> + Send {
        async move {
            for event in events {
                self.apply(event, tx).await?;
            }
            Ok(())
        }
    }

    /// How many transactions apply the events of a batch at the same time, each those of its own [keys](Projection::key), in
    /// order: for a database that is far away, where each waits for its answers, and a projection that writes no rows which
    /// events of several keys change. Each has a connection. It may be changed at any time. The read model must be able to
    /// do it ([`ReadModel::PARTITIONS`]), as PostgreSQL is; otherwise this does not compile.
    ///
    /// A reader who looks while a batch is being applied may find some partitions ahead of others; behind a cursor that he waited
    /// for, all are there. A projection that stops at an event may have applied later ones, of other partitions; they are not
    /// applied again.
    const PARTITIONS: u16 = 1;

    /// What is done about an event that cannot be decoded or applied: the projection stops, unless this says that it
    /// parks the event's key. A rebuild never parks: it fails, and the live view stays as it is.
    fn on_failure(&self) -> OnFailure {
        OnFailure::stop()
    }

    /// What an event belongs to, for a projection that parks: while an event of a key is parked, later ones of that key
    /// wait behind it and all others are applied. By default the stream; or a tag, say, for a view with a row per tag.
    ///
    /// Events whose order matters to a row must have one key. It is asked of the raw record, which may be one that
    /// cannot be decoded; it must depend on nothing else. Increment [`Projection::VERSION`] when it changes.
    fn key<'a>(&self, record: &'a RecordedEvent) -> Cow<'a, str> {
        Cow::Borrowed(record.stream())
    }
}

/// One instance of a projection's rows, with the cursor of the last event that is in them.
///
/// A projection has one live instance, which is what readers see, and at times others: one that a new version of the
/// projection fills for the first time, one that a rebuild fills. Dropping a transaction rolls it back.
pub trait ReadModel: Clone + Send + Sync + 'static {
    /// A transaction on the rows of one instance. It is owned: a connection from a pool, not a borrowed one.
    type Tx: Send + 'static;

    /// The last event that is in the rows.
    fn cursor(&self) -> impl Future<Output = Result<Cursor, ModelError>> + Send;

    /// Whether readers see this instance.
    fn is_live(&self) -> impl Future<Output = Result<bool, ModelError>> + Send;

    /// Begins a transaction, and tells the last event that is in the rows as the transaction sees them.
    ///
    /// There is one at a time on an instance; yet one that was dropped while it was being committed may still come
    /// through. It must not do so between another's beginning and that one's commit: let the later of the two fail, as by a
    /// condition on the cursor row as it was at the beginning, or by a lock on it.
    fn begin(&self) -> impl Future<Output = Result<(Self::Tx, Cursor), ModelError>> + Send;

    /// Commits rows and cursor together, or neither.
    fn commit(tx: Self::Tx, cursor: Cursor) -> impl Future<Output = Result<(), ModelError>> + Send;

    /// Whether an instance takes several transactions at the same time, one for each partition: the three methods below are
    /// there then. Each partition has a mark, which changes with its rows. The cursor of the instance is behind none of them that
    /// matters: it is moved by a transaction from [`ReadModel::begin`] once all partitions have their events up to there.
    const PARTITIONS: bool = false;

    /// Begins a transaction on the rows of a partition, and tells which partitions are ahead of the cursor of the instance, as
    /// this transaction sees it: their events are not applied again. These include partitions that are of another number than
    /// this one, of which there were so many before.
    ///
    /// What is said at [`ReadModel::begin`] about a transaction that was dropped is true for each partition. A transaction of
    /// `begin` and those of partitions exclude each other.
    fn begin_partition(
        &self,
        partition: Partition,
    ) -> impl Future<Output = Result<(Self::Tx, Vec<Reached>), ModelError>> + Send {
        let _ = partition;
        ready(Err(ModelError::CannotSplit))
    }

    /// The partitions that are ahead of the cursor of the instance.
    fn reached(&self) -> impl Future<Output = Result<Vec<Reached>, ModelError>> + Send {
        ready(if Self::PARTITIONS { Err(ModelError::CannotSplit) } else { Ok(Vec::new()) })
    }

    /// Commits rows and the mark of a partition together, or neither. The cursor of the instance stays.
    fn commit_partition(
        tx: Self::Tx,
        partition: Partition,
        position: Position,
    ) -> impl Future<Output = Result<(), ModelError>> + Send {
        let _ = (tx, partition, position);
        ready(Err(ModelError::CannotSplit))
    }

    /// Makes an empty instance beside this one, at [`Cursor::START`], which nobody reads. Any instance can do it, also
    /// one that was replaced since.
    fn shadow(&self) -> impl Future<Output = Result<Self, ModelError>> + Send;

    /// Makes this instance the one that readers see, in one atomic step, and then drops the one that they saw before, of
    /// whichever version, and one that was kept as [`Kept::Previous`]. If that second part fails it is made up for when the
    /// model is next opened. Others stay: a rebuild may be filling one. Does nothing if it is the one that readers see.
    fn promote(&self) -> impl Future<Output = Result<(), ModelError>> + Send;

    /// Drops this instance, if it is there; the live one refuses.
    fn discard(&self) -> impl Future<Output = Result<(), ModelError>> + Send;

    /// Whether it can keep instances beside the live one for later: the three methods below are there then. Without it a
    /// rebuild begins again after a restart, and one cannot roll back.
    const KEEPS: bool = false;

    /// Notes durably that a rebuild fills this instance, replacing an earlier note: opening the model does not remove it
    /// then, unless it is of another version. The note means nothing once the instance is live.
    ///
    /// For a database: a column of the table of instances, with the note as JSON.
    fn keep(&self, unfinished: Unfinished) -> impl Future<Output = Result<(), ModelError>> + Send {
        let _ = unfinished;
        ready(Err(ModelError::CannotKeep))
    }

    /// The instances of this projection and version that are kept, and why.
    fn kept(&self) -> impl Future<Output = Result<Vec<(Self, Kept)>, ModelError>> + Send {
        ready(if Self::KEEPS { Err(ModelError::CannotKeep) } else { Ok(Vec::new()) })
    }

    /// [`ReadModel::promote`], but the instance that readers saw before is kept as [`Kept::Previous`], which is noted in the
    /// same step.
    fn promote_keeping(&self) -> impl Future<Output = Result<(), ModelError>> + Send {
        ready(Err(ModelError::CannotKeep))
    }

    /// Whether it can keep parked events: the three methods below are there then.
    const PARKS: bool = false;

    /// Notes in a transaction that an event of this instance is parked, replacing an earlier note of the same event.
    ///
    /// The event's key and position are the note's; notes are dropped with the instance. For a database: a table with
    /// the primary key (projection, instance, key, position).
    fn park(tx: &mut Self::Tx, parked: &Parked) -> impl Future<Output = Result<(), ModelError>> + Send {
        let _ = (tx, parked);
        ready(Err(ModelError::CannotPark))
    }

    /// Removes the note of one parked event in a transaction, if it is there.
    ///
    /// A transaction that unparks is committed with the cursor that the instance has already. It must count as a change
    /// like any other to a model that recognises transactions by the cursor they began with.
    fn unpark(tx: &mut Self::Tx, key: &str, position: Position) -> impl Future<Output = Result<(), ModelError>> + Send {
        let _ = (tx, key, position);
        ready(Err(ModelError::CannotPark))
    }

    /// The parked events of this instance behind `after`, at most `limit`: key by key, in whichever order of keys, and by
    /// position within a key.
    fn parked(
        &self,
        after: Option<(&str, Position)>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Parked>, ModelError>> + Send {
        let _ = (after, limit);
        ready(if Self::PARKS { Err(ModelError::CannotPark) } else { Ok(Vec::new()) })
    }

    /// Whether an error that a projection met while it wrote its rows is only that their store is away: a connection that
    /// broke, a full disk. Such an event is neither parked nor given up: the projection waits for the store.
    fn is_outage(error: &(dyn Error + 'static)) -> bool {
        let _ = error;
        false
    }
}

/// Whether an error that a projection met while it wrote its rows is one of the store of embedded views, and so none of the
/// event: nothing is parked for it, and the projection stops if trying again does not help.
pub(super) fn is_store_error(error: &(dyn Error + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(RowError::Store(_))) || error.is::<StoreError>()
}

/// Why an instance that is not the live one is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kept {
    /// A rebuild fills it, and goes on with it after a restart.
    Rebuild(Unfinished),
    /// It was live before the one that is, and one may roll back to it.
    Previous,
}

/// What is noted of a rebuild, so that it can go on after a restart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Unfinished {
    /// How it works.
    pub options: RebuildOptions,
    /// Whether it waits until it is told to go on.
    pub paused: bool,
    /// Which [program](crate::Env::program) began it. Another one begins again, so that the rows are all of one.
    #[serde(default)]
    pub program: u64,
}

/// Why a projection could not apply an event: any error, by `?`.
pub struct ApplyError(Box<dyn Error + Send + Sync>);

impl ApplyError {
    /// An error that is only a message.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into().into())
    }

    /// What went wrong.
    #[must_use]
    pub fn into_inner(self) -> Box<dyn Error + Send + Sync> {
        self.0
    }
}

// Like any type that takes every error by `?`, it cannot be an error itself.
impl<E: Error + Send + Sync + 'static> From<E> for ApplyError {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a read model could not do its part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A row could not be read or written.
    #[error(transparent)]
    Row(#[from] RowError),
    /// It keeps no instances beside the live one.
    #[error("this read model keeps no instances beside the live one")]
    CannotKeep,
    /// It keeps no parked events. Use a read model that does, or let the projection stop at what it cannot apply.
    #[error("this read model keeps no parked events")]
    CannotPark,
    /// It takes one transaction at a time. Leave [`Projection::PARTITIONS`] at 1.
    #[error("this read model takes one transaction at a time")]
    CannotSplit,
    /// The store of a read model cannot be reached, or is busy. It is tried again for as long as that takes.
    #[error("the store of the read model cannot be reached")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The instance is not at the cursor that its writer knows of: a commit came through late, or the store was put back.
    /// Ask for the cursor and go on behind it.
    #[error("the read model is at {found} and not at {known}, where this writer left it")]
    Moved {
        /// Where the writer left it.
        known: Cursor,
        /// Where it is.
        found: Cursor,
    },
    /// Somebody else fills this read model since, or has replaced it. Let one service do that, then restart it.
    #[error("another writer has taken this read model over ({detail}): stop one of the two, then restart the other")]
    Fenced {
        /// What was found.
        detail: String,
    },
    /// The store of a read model failed.
    #[error("the read model failed")]
    Other(#[source] Box<dyn Error + Send + Sync>),
}

impl ModelError {
    /// Whether the store of the read model is away, or takes no writes: it is waited for.
    pub(super) const fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Row(RowError::Store(StoreError::Unavailable { .. })))
    }
}

impl From<StoreError> for ModelError {
    fn from(error: StoreError) -> Self {
        Self::Row(RowError::Store(error))
    }
}
