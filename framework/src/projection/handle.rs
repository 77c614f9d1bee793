//! Reading a view, and waiting until it has seen what one knows to be recorded.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use annalist_core::{Cursor, Position, StoreError};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::watch;

use super::{
    blocking::blocking,
    embedded::{Scan, View, read_live},
    key::ViewKey,
    key_value::KeyValueStore,
    status::{ProjectionState, Published, UnknownProjection},
    table::{RowError, Table},
};

/// Reads the view of a projection. Cheap to clone.
///
/// Every read first waits until the view has been filled once, and has seen the cursor given to [`ViewHandle::after`];
/// it then sees one consistent state. Reads on a view that stopped are answered too, unless they wait for a cursor that
/// it did not reach.
///
/// ```no_run
/// # use annalist::projection::{Table, ViewError, ViewHandle};
/// # const BALANCES: Table<String, i64> = Table::new("balances");
/// # async fn read(view: ViewHandle, cursor: annalist_core::Cursor) -> Result<(), ViewError> {
/// let balance = view.after(cursor).get(&BALANCES, &"alice".to_owned()).await?;    // sees what was recorded at `cursor`
/// let first_ten = view.scan(&BALANCES).limit(10).await?;
/// let sum = view.read(|view| {
///     let mut sum = 0;
///     view.scan(&BALANCES).for_each(|_, balance| sum += balance)?;
///     Ok(sum)
/// }).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ViewHandle {
    pub(super) name: &'static str,
    pub(super) version: u32,
    pub(super) rows: Arc<dyn KeyValueStore>,
    pub(super) published: watch::Receiver<Published>,
    pub(super) after: Option<Cursor>,
    pub(super) patience: Duration,
}

/// Why a view could not be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// There is no such projection.
    #[error(transparent)]
    Unknown(#[from] UnknownProjection),
    /// The view did not get so far in time. Try again, or wait longer.
    #[error("the view `{name}` is {state} at event {seen} and did not reach event {wanted} within {waited:?}")]
    Behind {
        /// The projection.
        name: &'static str,
        /// What it is doing.
        state: ProjectionState,
        /// How far it is.
        seen: Position,
        /// How far it was to be.
        wanted: Position,
        /// How long the reader waited.
        waited: Duration,
    },
    /// The view is still being filled for the first time. Try again later.
    #[error(
        "the view `{name}` is being filled for the first time, at event {seen}, and was not complete within {waited:?}"
    )]
    Building {
        /// The projection.
        name: &'static str,
        /// How far it is.
        seen: Position,
        /// How long the reader waited.
        waited: Duration,
    },
    /// The store of the rows is away. Try again later: the projection goes on by itself when the store is back.
    #[error("the view `{name}` is {state}; it was not back within {waited:?}")]
    Unavailable {
        /// The projection.
        name: &'static str,
        /// [`ProjectionState::Waiting`].
        state: ProjectionState,
        /// How long the reader waited.
        waited: Duration,
    },
    /// The projection stopped before the cursor. Mend the projection, then restart the service or rebuild the view.
    #[error("the view `{name}` has {state}, so it will not reach the event that was waited for")]
    Stopped {
        /// The projection.
        name: &'static str,
        /// How it stopped.
        state: ProjectionState,
    },
    /// The cursor is one of another log than the view's.
    #[error("the view `{name}` follows another log than the one of the cursor {cursor}")]
    ForeignCursor {
        /// The projection.
        name: &'static str,
        /// The cursor.
        cursor: Cursor,
    },
    /// A row could not be read.
    #[error(transparent)]
    Row(#[from] RowError),
}

impl From<StoreError> for ViewError {
    fn from(error: StoreError) -> Self {
        Self::Row(RowError::Store(error))
    }
}

impl ViewHandle {
    /// The same view, read only once it has seen this cursor: that of a receipt, to read one's own write.
    #[must_use]
    pub fn after(&self, cursor: Cursor) -> Self {
        Self { after: Some(cursor), ..self.clone() }
    }

    /// The same view with another limit to how long a read waits; see
    /// [`ProjectionOptions::patience`](crate::projection::ProjectionOptions::patience).
    #[must_use]
    pub fn within(&self, patience: Duration) -> Self {
        Self { patience, ..self.clone() }
    }

    /// The last event in the view.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.published.borrow().cursor
    }

    /// Waits as a read does, and reads nothing.
    ///
    /// # Errors
    /// [`ViewError`] when the view does not get so far.
    pub async fn ready(&self) -> Result<(), ViewError> {
        wait(self.name, self.published.clone(), self.after, self.patience).await
    }

    /// The row under a key.
    ///
    /// # Errors
    /// [`ViewError`] when the view does not get so far, or the row cannot be read.
    pub async fn get<K, V>(&self, table: &Table<K, V>, key: &K) -> Result<Option<V>, ViewError>
    where
        K: ViewKey + 'static,
        V: Serialize + DeserializeOwned + Send + 'static,
    {
        // The key goes to another thread as bytes, so that it need be neither `Clone` nor `Send`.
        let (table, mut bytes) = (*table, Vec::new());
        key.encode(&mut bytes);
        self.read(move |view| view.get_encoded(&table, &bytes)).await
    }

    /// Several rows in the order of their keys; finished with `.await`.
    pub fn scan<K: ViewKey, V>(&self, table: &Table<K, V>) -> Scan<Self, K, V> {
        Scan::new(self.clone(), *table)
    }

    /// Reads as often as need be from one consistent state, on a thread that may block.
    ///
    /// # Errors
    /// [`ViewError`] when the view does not get so far, or `reading` fails.
    pub async fn read<T: Send + 'static>(
        &self,
        reading: impl FnOnce(&View<'_>) -> Result<T, RowError> + Send + 'static,
    ) -> Result<T, ViewError> {
        self.ready().await?;
        let (name, version, rows) = (self.name, self.version, Arc::clone(&self.rows));
        let read = blocking(move || read_live(&*rows, name, version, reading)).await?;
        // A view that is readable is live until the end of the process.
        let gone = || StoreError::Unavailable { why: format!("the view `{name}` has no live instance") };
        Ok(read.ok_or_else(gone)??)
    }
}

impl<K, V> IntoFuture for Scan<ViewHandle, K, V>
where
    K: ViewKey + Send + 'static,
    V: Serialize + DeserializeOwned + Send + 'static,
{
    type Output = Result<Vec<(K, V)>, ViewError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { source, selection } = self;
            source
                .read(move |view| {
                    let mut rows = Vec::new();
                    selection.visit(&view, |key, value| rows.push((key, value)))?;
                    Ok(rows)
                })
                .await
        })
    }
}

/// Waits until a view is readable and has seen a cursor.
pub(super) async fn wait(
    name: &'static str,
    mut published: watch::Receiver<Published>,
    after: Option<Cursor>,
    patience: Duration,
) -> Result<(), ViewError> {
    let answer = |published: &Published| verdict(name, published, after);
    let waiting = async {
        let reached = published.wait_for(|published| answer(published).is_some()).await;
        reached.ok().and_then(|published| answer(&published))
    };
    match tokio::time::timeout(patience, waiting).await {
        Ok(Some(answer)) => return answer,
        Ok(None) => return Err(ViewError::Stopped { name, state: ProjectionState::Stopped }),
        Err(_) => {}
    }
    let Published { state, cursor, readable, .. } = published.borrow().clone();
    let (seen, waited) = (cursor.position, patience);
    Err(match after {
        _ if matches!(state, ProjectionState::Waiting { .. }) => ViewError::Unavailable { name, state, waited },
        Some(after) if readable => ViewError::Behind { name, state, seen, wanted: after.position, waited },
        _ => ViewError::Building { name, seen, waited },
    })
}

/// Whether there is more to wait for (`None`), or how the wait ended.
fn verdict(name: &'static str, published: &Published, after: Option<Cursor>) -> Option<Result<(), ViewError>> {
    let Published { state, cursor, readable, .. } = published;
    let ended = state.has_ended();
    let reached = match after {
        Some(after) if after.position != Position::ZERO && *cursor != Cursor::START => {
            if (after.store, after.epoch) != (cursor.store, cursor.epoch) {
                return Some(Err(ViewError::ForeignCursor { name, cursor: after }));
            }
            cursor.position >= after.position
        }
        Some(after) => after.position == Position::ZERO,
        None => true,
    };
    match (*readable && reached, ended) {
        (true, _) => Some(Ok(())),
        (false, true) => Some(Err(ViewError::Stopped { name, state: state.clone() })),
        (false, false) => None,
    }
}

impl fmt::Debug for ViewHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViewHandle").field("name", &self.name).field("after", &self.after).finish_non_exhaustive()
    }
}
