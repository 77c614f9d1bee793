//! The embedded read model: rows in an ordered key-value store in the same process.

mod cache;
mod kept;
mod keys;
mod parked;
mod scan;
mod tx;
mod view;

use std::{error::Error, fmt, ops::ControlFlow, sync::Arc};

use annalist_core::{Cursor, Direction, Position, StoreError};
use serde::{Serialize, de::DeserializeOwned};

use self::{cache::Cached, kept::all_kept, keys::InstanceRow};
use super::{
    blocking::blocking,
    key_value::{Batch, KeyValueStore, Rows, behind_prefix, read_rows},
    model::{Kept, ModelError, ReadModel, Unfinished},
    parking::Parked,
    table::RowError,
};

pub use scan::{Scan, ScanSource};
pub use tx::Tx;
pub use view::View;

/// An instance of a projection's rows in an embedded key-value store.
///
/// Rows and cursor change in one batch. The live instance is the one whose number stands in one row; replacing that
/// number is how a rebuilt view comes into place.
#[derive(Clone)]
pub struct Embedded {
    key_value: Arc<dyn KeyValueStore>,
    name: &'static str,
    version: u32,
    number: u32,
    cached: Cached,
}

impl Embedded {
    /// Opens the rows of a projection: the live instance, if it was filled by this version of the projection; otherwise
    /// the one that this version has begun to fill, or an empty one. What nobody needs is removed; the live instance of
    /// another version stays until this one is promoted.
    ///
    /// # Errors
    /// [`ModelError`] when the store fails.
    pub(super) async fn open(
        key_value: Arc<dyn KeyValueStore>,
        name: &'static str,
        version: u32,
    ) -> Result<Self, ModelError> {
        Ok(blocking(move || Self::open_now(key_value, name, version)).await?)
    }

    pub(super) fn open_now(
        key_value: Arc<dyn KeyValueStore>,
        name: &'static str,
        version: u32,
    ) -> Result<Self, StoreError> {
        let (live, instances, kept) = read_rows(&*key_value, |rows| {
            Ok((live_number(rows, name)?, instances(rows, name)?, all_kept(rows, name)?))
        })?;
        let is_kept = |number: u32| kept.iter().any(|(kept, _)| *kept == number);
        let ours = instances.iter().filter(|(_, row)| row.version == version).map(|(number, _)| *number);
        let number = match live {
            Some(live) if ours.clone().any(|number| number == live) => Some(live),
            _ => ours.filter(|number| !is_kept(*number)).max(),
        };
        let model = match number {
            Some(number) => Self { key_value, name, version, number, cached: Cached::default() },
            None => Self::create(key_value, name, version, &instances)?,
        };
        let remains = instances.iter().filter(|(number, row)| {
            let stays = match kept.iter().find(|(kept, _)| kept == number) {
                Some((_, Kept::Rebuild(_))) => row.version == version,
                Some((_, Kept::Previous)) => true,
                None => false,
            };
            !stays && *number != model.number && Some(*number) != live
        });
        model.drop_instances(remains.map(|(number, _)| *number))?;
        Ok(model)
    }

    /// Makes an empty instance under the next number.
    fn create(
        key_value: Arc<dyn KeyValueStore>,
        name: &'static str,
        version: u32,
        instances: &[(u32, InstanceRow)],
    ) -> Result<Self, StoreError> {
        let number = instances.iter().map(|(number, _)| *number).max().unwrap_or_default().saturating_add(1);
        let row = encode(&InstanceRow { version, cursor: Cursor::START, commits: 0 })?;
        key_value.write(Batch::new().put(keys::instance(name, number), row))?;
        Ok(Self { key_value, name, version, number, cached: Cached::default() })
    }

    fn drop_instances(&self, numbers: impl Iterator<Item = u32>) -> Result<(), StoreError> {
        let batch = numbers.fold(Batch::new(), |batch, number| {
            let all = [keys::rows(self.name, number), keys::all_parked(self.name, number)];
            let batch = batch.delete(keys::instance(self.name, number)).delete(keys::kept(self.name, number));
            all.into_iter().fold(batch, |batch, prefix| {
                let end = behind_prefix(&prefix).unwrap_or_default();
                batch.delete_range(prefix..end)
            })
        });
        if batch.changes.is_empty() { Ok(()) } else { self.key_value.write(batch) }
    }

    pub(super) fn cursor_now(&self) -> Result<Cursor, StoreError> {
        self.noted_cursor(self.key_value.get(&keys::instance(self.name, self.number))?.as_deref())
    }

    /// The cursor in a note of this instance.
    fn noted_cursor(&self, note: Option<&[u8]>) -> Result<Cursor, StoreError> {
        match note {
            Some(row) => Ok(instance_row(row)?.cursor),
            None => Err(damaged(&format!("instance {} of the view `{}` is gone", self.number, self.name))),
        }
    }

    pub(super) fn is_live_now(&self) -> Result<bool, StoreError> {
        let live = self.key_value.get(&keys::live(self.name))?;
        Ok(live.map(|row| decode::<u32>(&row)).transpose()? == Some(self.number))
    }

    pub(super) fn shadow_now(&self) -> Result<Self, StoreError> {
        let instances = read_rows(&*self.key_value, |rows| instances(rows, self.name))?;
        Self::create(Arc::clone(&self.key_value), self.name, self.version, &instances)
    }

    pub(super) fn discard_now(&self) -> Result<(), StoreError> {
        if self.is_live_now()? {
            let why = format!("the live instance of the view `{}` cannot be discarded", self.name);
            return Err(StoreError::Unavailable { why });
        }
        self.drop_instances(std::iter::once(self.number))
    }

    pub(super) fn begin_now(&self) -> Result<(Tx, Cursor), StoreError> {
        let began = self.key_value.get(&keys::instance(self.name, self.number))?;
        let cursor = self.noted_cursor(began.as_deref())?;
        let cache = self.cached.take(began.as_deref());
        let tx = Tx::new(self.clone(), Arc::clone(&self.key_value), keys::rows(self.name, self.number), began, cache);
        Ok((tx, cursor))
    }

    pub(super) fn commit_now(tx: Tx, cursor: Cursor) -> Result<(), StoreError> {
        let (model, began) = (tx.model.clone(), tx.began.clone());
        let before = began.as_deref().map(instance_row).transpose()?.map_or(0, |row| row.commits);
        let key = keys::instance(model.name, model.number);
        let row = encode(&InstanceRow { version: model.version, cursor, commits: before.wrapping_add(1) })?;
        // A transaction that was dropped while it was being committed may still come through. The guard keeps this one
        // from applying the same events once more on top of it.
        let (changes, cache) = tx.into_changes();
        model.key_value.write(changes.put(key.clone(), row.clone()).only_if(key, began))?;
        model.cached.leave(row, cache);
        Ok(())
    }

    /// Why a transaction that began at this note was not committed. One that was overtaken has no use in waiting for the store.
    fn not_committed(&self, began: Option<&[u8]>, error: StoreError) -> ModelError {
        let now = self.key_value.get(&keys::instance(self.name, self.number));
        match (&error, now) {
            (StoreError::Unavailable { .. }, Ok(now)) if now.as_deref() != began => {
                match (self.noted_cursor(began), self.noted_cursor(now.as_deref())) {
                    (Ok(known), Ok(found)) => ModelError::Moved { known, found },
                    (Err(error), _) | (_, Err(error)) => error.into(),
                }
            }
            _ => error.into(),
        }
    }

    /// Calls `reading` with one consistent state of this instance, live or not.
    pub(super) fn view_now<T>(&self, reading: impl FnOnce(&View<'_>) -> T) -> Result<T, StoreError> {
        read_rows(&*self.key_value, |rows| Ok(reading(&View::new(rows, keys::rows(self.name, self.number)))))
    }
}

/// Calls `reading` with one consistent state of a projection's live instance; `None` if there is none of this version.
pub(super) fn read_live<T>(
    key_value: &dyn KeyValueStore,
    name: &str,
    version: u32,
    reading: impl FnOnce(&View<'_>) -> T,
) -> Result<Option<T>, StoreError> {
    read_rows(key_value, |rows| {
        let Some(number) = live_number(rows, name)? else { return Ok(None) };
        let row = rows.get(&keys::instance(name, number))?;
        let ours = row.map(|row| instance_row(&row)).transpose()?.is_some_and(|row| row.version == version);
        Ok(ours.then(|| reading(&View::new(rows, keys::rows(name, number)))))
    })
}

impl ReadModel for Embedded {
    type Tx = Tx;

    async fn cursor(&self) -> Result<Cursor, ModelError> {
        // A point read of a row that was just written: not worth a change of threads.
        Ok(self.cursor_now()?)
    }

    async fn is_live(&self) -> Result<bool, ModelError> {
        let model = self.clone();
        Ok(blocking(move || model.is_live_now()).await?)
    }

    async fn begin(&self) -> Result<(Tx, Cursor), ModelError> {
        // As for the cursor.
        Ok(self.begin_now()?)
    }

    async fn commit(tx: Tx, cursor: Cursor) -> Result<(), ModelError> {
        let (model, began) = (tx.model.clone(), tx.began.clone());
        blocking(move || Self::commit_now(tx, cursor).map_err(|error| model.not_committed(began.as_deref(), error)))
            .await
    }

    async fn shadow(&self) -> Result<Self, ModelError> {
        let model = self.clone();
        Ok(blocking(move || model.shadow_now()).await?)
    }

    async fn promote(&self) -> Result<(), ModelError> {
        let model = self.clone();
        Ok(blocking(move || model.promote_now(false)).await?)
    }

    async fn discard(&self) -> Result<(), ModelError> {
        let model = self.clone();
        Ok(blocking(move || model.discard_now()).await?)
    }

    const KEEPS: bool = true;

    async fn keep(&self, unfinished: Unfinished) -> Result<(), ModelError> {
        let model = self.clone();
        Ok(blocking(move || model.keep_now(unfinished)).await?)
    }

    async fn kept(&self) -> Result<Vec<(Self, Kept)>, ModelError> {
        let model = self.clone();
        Ok(blocking(move || model.kept_now()).await?)
    }

    async fn promote_keeping(&self) -> Result<(), ModelError> {
        let model = self.clone();
        Ok(blocking(move || model.promote_now(true)).await?)
    }

    const PARKS: bool = true;

    async fn park(tx: &mut Tx, parked: &Parked) -> Result<(), ModelError> {
        Ok(tx.park(parked)?)
    }

    async fn unpark(tx: &mut Tx, key: &str, position: Position) -> Result<(), ModelError> {
        tx.unpark(key, position);
        Ok(())
    }

    async fn parked(&self, after: Option<(&str, Position)>, limit: usize) -> Result<Vec<Parked>, ModelError> {
        let (model, after) = (self.clone(), after.map(|(key, position)| (key.to_owned(), position)));
        Ok(blocking(move || model.parked_now(after, limit)).await?)
    }

    fn is_outage(error: &(dyn Error + 'static)) -> bool {
        matches!(error.downcast_ref(), Some(RowError::Store(StoreError::Unavailable { .. })))
    }
}

fn live_number(rows: &dyn Rows, name: &str) -> Result<Option<u32>, StoreError> {
    rows.get(&keys::live(name))?.map(|row| decode(&row)).transpose()
}

fn instances(rows: &dyn Rows, name: &str) -> Result<Vec<(u32, InstanceRow)>, StoreError> {
    let start = keys::instances(name);
    let end = behind_prefix(&start).unwrap_or_default();
    let (mut found, mut result) = (Vec::new(), Ok(()));
    rows.scan(
        &start..&end,
        Direction::Forward,
        &mut |key, row| match (keys::instance_number(key), instance_row(row)) {
            (Some(number), Ok(row)) => {
                found.push((number, row));
                ControlFlow::Continue(())
            }
            (_, row) => {
                result = row.and(Err(damaged("the key of an instance")));
                ControlFlow::Break(())
            }
        },
    )?;
    result.map(|()| found)
}

fn encode(value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    bincode::serde::encode_to_vec(value, bincode::config::standard()).map_err(|error| damaged(&error.to_string()))
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    let decoded = bincode::serde::decode_from_slice(bytes, bincode::config::standard());
    decoded.map(|(value, _)| value).map_err(|error| damaged(&error.to_string()))
}

/// The note of an instance. Those written before transactions were counted end where the count would stand.
fn instance_row(bytes: &[u8]) -> Result<InstanceRow, StoreError> {
    decode(bytes).or_else(|error| decode(&[bytes, &[0]].concat()).map_err(|_| error))
}

fn damaged(detail: &str) -> StoreError {
    let detail =
        format!("the notes of a view are damaged ({detail}); delete the folder of the views: they are replayed");
    StoreError::Corrupt { position: Position::ZERO, detail }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Embedded({} version {}, instance {})", self.name, self.version, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_without_a_count_are_read() {
        let noted = InstanceRow { version: 3, cursor: Cursor::START, commits: 0 };
        assert_eq!(instance_row(&encode(&(3_u32, Cursor::START)).unwrap()), Ok(noted));
        assert_eq!(instance_row(&encode(&noted).unwrap()), Ok(noted));
        assert!(instance_row(&[3]).is_err());
    }
}
