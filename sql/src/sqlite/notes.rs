//! The statements about an instance. The table `annalist_view` has one row; its name never changes.

use annalist::projection::ModelError;
use annalist_core::Cursor;
use sqlx::SqliteConnection;

use crate::{
    error::{SqlError, model},
    fence::{Note, columns, cursor},
};

/// Makes our own table, for an empty instance.
pub(super) async fn make_table(connection: &mut SqliteConnection, name: &str, version: i64) -> Result<(), SqlError> {
    let table = "create table annalist_view (projection text not null, version integer not null, writer text not null, \
                 store text not null, epoch integer not null, position integer not null)";
    sqlx::query(table).execute(&mut *connection).await?;
    let (store, epoch, position) = columns(Cursor::START);
    let row = sqlx::query("insert into annalist_view values (?, ?, '', ?, ?, ?)").bind(name).bind(version);
    row.bind(store).bind(epoch).bind(position).execute(connection).await?;
    Ok(())
}

/// The projection, and its version, that a file belongs to; `None` if its tables were not made to the end.
pub(super) async fn owner(connection: &mut SqliteConnection) -> Result<Option<(String, i64)>, SqlError> {
    let there = "select count(*) from sqlite_schema where type = 'table' and name = 'annalist_view'";
    let there: i64 = sqlx::query_scalar(there).fetch_one(&mut *connection).await?;
    if there == 0 {
        return Ok(None);
    }
    Ok(Some(sqlx::query_as("select projection, version from annalist_view").fetch_one(connection).await?))
}

pub(super) async fn version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select version from annalist_view").fetch_one(connection).await
}

pub(super) async fn note(connection: &mut SqliteConnection) -> Result<Note, ModelError> {
    let note = sqlx::query_as("select writer, store, epoch, position from annalist_view").fetch_one(connection);
    let (writer, store, epoch, position): (String, String, i64, i64) = note.await.map_err(model)?;
    Ok(Note { writer, cursor: cursor(&(store, epoch, position))? })
}

pub(super) async fn write(connection: &mut SqliteConnection, writer: &str, cursor: Cursor) -> Result<(), sqlx::Error> {
    let (store, epoch, position) = columns(cursor);
    let write = sqlx::query("update annalist_view set writer = ?, store = ?, epoch = ?, position = ?").bind(writer);
    write.bind(store).bind(epoch).bind(position).execute(connection).await?;
    Ok(())
}

/// Makes everything that was committed durable.
pub(super) async fn sync(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let checkpoint = sqlx::query_as("pragma wal_checkpoint(truncate)").fetch_one(connection);
    let (busy, _, _): (i64, i64, i64) = checkpoint.await?;
    if busy == 0 { Ok(()) } else { Err(sqlx::Error::PoolTimedOut) }
}
