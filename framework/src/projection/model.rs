//! The traits that users and read models implement.

use std::{error::Error, fmt, future::Future};

use annalist_core::{Cursor, StoreError};

use super::table::RowError;
use crate::event::{EventSet, Recorded};

/// Turns events into the rows of a read model.
///
/// The rows and the cursor of the last event change in one transaction, so every event is applied exactly once, also
/// across crashes. A projection has no effects beyond its rows: it will be replayed.
///
/// ```
/// use annalist::{EventSet, Recorded};
/// use annalist::projection::{ApplyError, Embedded, Projection, Table, Tx};
///
/// const EVENTS_PER_STREAM: Table<String, u64> = Table::new("events-per-stream");
///
/// struct Activity<E>(std::marker::PhantomData<fn() -> E>);
///
/// impl<E: EventSet> Projection for Activity<E> {
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

    /// The events it follows. Others are passed over.
    type Event: EventSet;

    /// Where its rows are: [`Embedded`](super::Embedded), for example.
    type Model: ReadModel;

    /// Applies one event. Users write `async fn apply`.
    ///
    /// # Errors
    /// [`ApplyError`]: the transaction is rolled back and tried again; if that does not help the projection stops at
    /// this event and says so in its status. Return `Ok` for an event that does not concern the view.
    fn apply(
        &self,
        event: &Recorded<Self::Event>,
        tx: &mut <Self::Model as ReadModel>::Tx,
    ) -> impl Future<Output = Result<(), ApplyError>> + Send;
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

    /// Begins a transaction. There is one at a time on an instance.
    fn begin(&self) -> impl Future<Output = Result<Self::Tx, ModelError>> + Send;

    /// Commits rows and cursor together, or neither.
    fn commit(tx: Self::Tx, cursor: Cursor) -> impl Future<Output = Result<(), ModelError>> + Send;

    /// Makes an empty instance beside this one, at [`Cursor::START`], which nobody reads. Any instance can do it, also
    /// one that was replaced since.
    fn shadow(&self) -> impl Future<Output = Result<Self, ModelError>> + Send;

    /// Makes this instance the one that readers see, in one atomic step, and then drops the one that they saw before, of
    /// whichever version. If that second part fails it is made up for when the model is next opened. Others stay: a
    /// rebuild may be filling one.
    fn promote(&self) -> impl Future<Output = Result<(), ModelError>> + Send;

    /// Drops this instance, if it is there; the live one refuses.
    fn discard(&self) -> impl Future<Output = Result<(), ModelError>> + Send;
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

impl From<StoreError> for ModelError {
    fn from(error: StoreError) -> Self {
        Self::Row(RowError::Store(error))
    }
}
