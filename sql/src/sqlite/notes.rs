//! The statements about an instance. The names of tables and of notes never change.
//!
//! ```text
//! annalist_view      one row: whose the file is, who wrote last, the cursor
//! annalist_note      `rebuild`: what a rebuild that fills it has to know after a restart, as JSON
//!                    `previous`: which instance was live before this one and is kept; it counts in the live one alone
//! annalist_parked    events that were set aside, by key and position
//! ```

use annalist::projection::{Kept, ModelError, Parked, Unfinished};
use annalist_core::{Cursor, Position};
use sqlx::SqliteConnection;

use crate::{
    error::{SqlError, model},
    fence::{Note, REPLACED, columns, cursor},
    kept::{self, from_text, limit, number, parked_columns, to_text},
};

const REBUILD: &str = "rebuild";
const PREVIOUS: &str = "previous";

/// Makes our own tables, for an empty instance.
pub(super) async fn make_tables(connection: &mut SqliteConnection, name: &str, version: i64) -> Result<(), SqlError> {
    let table = "create table annalist_view (projection text not null, version integer not null, writer text not null, \
                 store text not null, epoch integer not null, position integer not null)";
    sqlx::query(table).execute(&mut *connection).await?;
    let (store, epoch, position) = columns(Cursor::START);
    let row = sqlx::query("insert into annalist_view values (?, ?, '', ?, ?, ?)").bind(name).bind(version);
    row.bind(store).bind(epoch).bind(position).execute(&mut *connection).await?;
    complete(connection).await
}

/// Makes those of our tables that an instance from before does not have.
pub(super) async fn complete(connection: &mut SqliteConnection) -> Result<(), SqlError> {
    let tables = "
        create table if not exists annalist_note (name text primary key, value text not null) without rowid;
        create table if not exists annalist_parked (
            key text not null,
            position integer not null,
            error text,
            attempts integer not null,
            time integer not null,
            primary key (key, position)
        ) without rowid;
    ";
    sqlx::raw_sql(tables).execute(connection).await?;
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

/// Notes who writes, and nothing else.
pub(super) async fn sign(connection: &mut SqliteConnection, writer: &str) -> Result<(), sqlx::Error> {
    sqlx::query("update annalist_view set writer = ?").bind(writer).execute(connection).await?;
    Ok(())
}

/// What is left to do once another instance is live. Doing it twice does no harm.
#[derive(Clone, Copy)]
pub(super) enum Tidying {
    /// Whoever filled this instance may not write to it any more.
    ShutOut,
    /// No rebuild fills this instance any more.
    Filled,
}

pub(super) async fn tidy(connection: &mut SqliteConnection, tidying: Tidying) -> Result<(), sqlx::Error> {
    match tidying {
        Tidying::ShutOut => sign(connection, REPLACED).await,
        Tidying::Filled => delete(connection, REBUILD).await,
    }
}

pub(super) async fn set_rebuild(connection: &mut SqliteConnection, unfinished: Unfinished) -> Result<(), SqlError> {
    set(connection, REBUILD, &to_text(&Kept::Rebuild(unfinished))?).await
}

pub(super) async fn rebuild(connection: &mut SqliteConnection) -> Result<Option<Kept>, SqlError> {
    get(connection, REBUILD).await?.as_deref().map(from_text).transpose()
}

pub(super) async fn set_previous(connection: &mut SqliteConnection, id: Option<&str>) -> Result<(), SqlError> {
    match id {
        Some(id) => set(connection, PREVIOUS, id).await,
        None => Ok(delete(connection, PREVIOUS).await?),
    }
}

pub(super) async fn previous(connection: &mut SqliteConnection) -> Result<Option<String>, SqlError> {
    get(connection, PREVIOUS).await
}

async fn set(connection: &mut SqliteConnection, name: &str, value: &str) -> Result<(), SqlError> {
    let set = "insert into annalist_note values (?, ?) on conflict (name) do update set value = excluded.value";
    sqlx::query(set).bind(name).bind(value).execute(connection).await?;
    Ok(())
}

async fn delete(connection: &mut SqliteConnection, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query("delete from annalist_note where name = ?").bind(name).execute(connection).await?;
    Ok(())
}

async fn get(connection: &mut SqliteConnection, name: &str) -> Result<Option<String>, SqlError> {
    let get = sqlx::query_scalar("select value from annalist_note where name = ?").bind(name);
    Ok(get.fetch_optional(connection).await?)
}

pub(super) async fn park(connection: &mut SqliteConnection, parked: &Parked) -> Result<(), sqlx::Error> {
    let park = "insert into annalist_parked values (?, ?, ?, ?, ?) on conflict (key, position) do update \
                set error = excluded.error, attempts = excluded.attempts, time = excluded.time";
    let (key, position, error, attempts, time) = parked_columns(parked);
    let park = sqlx::query(park).bind(key).bind(position).bind(error).bind(attempts).bind(time);
    park.execute(connection).await?;
    Ok(())
}

pub(super) async fn unpark(
    connection: &mut SqliteConnection,
    key: &str,
    position: Position,
) -> Result<(), sqlx::Error> {
    let unpark = sqlx::query("delete from annalist_parked where key = ? and position = ?").bind(key);
    unpark.bind(number(position)).execute(connection).await?;
    Ok(())
}

/// The parked events behind one, or from the first on.
pub(super) async fn parked(
    connection: &mut SqliteConnection,
    after: Option<(&str, Position)>,
    count: usize,
) -> Result<Vec<Parked>, sqlx::Error> {
    let (key, position) = after.map_or(("", -1), |(key, position)| (key, number(position)));
    let parked = "select key, position, error, attempts, time from annalist_parked where (key, position) > (?, ?) \
                  order by key, position limit ?";
    let rows = sqlx::query_as(parked).bind(key).bind(position).bind(limit(count)).fetch_all(connection).await?;
    Ok(rows.into_iter().map(kept::parked).collect())
}

/// Makes everything that was committed durable.
pub(super) async fn sync(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let checkpoint = sqlx::query_as("pragma wal_checkpoint(truncate)").fetch_one(connection);
    let (busy, _, _): (i64, i64, i64) = checkpoint.await?;
    if busy == 0 { Ok(()) } else { Err(sqlx::Error::PoolTimedOut) }
}
