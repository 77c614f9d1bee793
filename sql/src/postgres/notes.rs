//! The statements about instances. Everything that they name stands in the schema `annalist`; both names never change.
//!
//! ```text
//! annalist.views           instance (number, never used again), projection, version, live, writer, store, epoch, position,
//!                          why it is kept that is not live, as JSON
//! annalist.parked          events that an instance has set aside: key, position, error, attempts, time in microseconds
//! annalist.partitions      how far a partition of an instance is: number, of how many, position
//! "projection#instance"    the schema with the tables of an instance
//! ```

use annalist::projection::{Kept, ModelError, Unfinished};
use annalist_core::Cursor;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::{
    error::{SqlError, model},
    fence::{Columns, Note, REPLACED, columns, cursor},
    kept::{from_text, to_text},
    limits::{REMOVAL_PATIENCE, SCHEMA_NAME_BYTES_MAX, WRITER_SILENT},
};

/// The first number of our advisory locks ("anna"): the second is an instance, or a hash of a projection's name.
const LOCKS_INSTANCE: i32 = 0x616e_6e61;
/// The same for projections ("annb"), and for the table of ours.
const LOCKS_PROJECTION: i32 = 0x616e_6e62;

const TABLES: &str = "
    create schema if not exists annalist;
    create table if not exists annalist.views (
        instance serial primary key,
        projection text not null,
        version bigint not null,
        live boolean not null default false,
        writer text not null default '',
        store text not null,
        epoch bigint not null,
        position bigint not null
    );
    create unique index if not exists views_live on annalist.views (projection) where live;
    create index if not exists views_projection on annalist.views (projection);
    alter table annalist.views add column if not exists kept text;
    create table if not exists annalist.parked (
        instance integer not null references annalist.views on delete cascade,
        key text collate \"C\" not null,
        position bigint not null,
        error text,
        attempts bigint not null,
        time bigint not null,
        primary key (instance, key, position)
    );
    create table if not exists annalist.partitions (
        instance integer not null references annalist.views on delete cascade,
        \"of\" integer not null,
        number integer not null,
        position bigint not null,
        primary key (instance, \"of\", number)
    );
";

/// What is known of an instance.
pub(super) struct Row {
    pub(super) instance: i64,
    pub(super) version: i64,
    pub(super) live: bool,
    pub(super) kept: Option<Kept>,
}

/// Makes our own tables, if they are not there.
pub(super) async fn make_tables(connection: &mut PgConnection) -> Result<(), SqlError> {
    // The one that came last: without it there may be those from before.
    let there = "select to_regclass('annalist.partitions') is not null";
    if sqlx::query_scalar(there).fetch_one(&mut *connection).await? {
        return Ok(());
    }
    // "If not exists" is no promise when two do it at once.
    alone(connection, "annalist.views").await?;
    let made = sqlx::raw_sql(TABLES).execute(connection).await;
    made.map_err(|source| SqlError::Tables { projection: "annalist.views", source })?;
    Ok(())
}

/// Keeps others from making and swapping instances of a projection until the end of the transaction.
pub(super) async fn alone(connection: &mut PgConnection, name: &str) -> Result<(), SqlError> {
    let lock = sqlx::query("select pg_advisory_xact_lock($1, hashtext($2))").bind(LOCKS_PROJECTION).bind(name);
    lock.execute(connection).await?;
    Ok(())
}

pub(super) async fn all(connection: &mut PgConnection, name: &str) -> Result<Vec<Row>, SqlError> {
    let all =
        "select instance::bigint, version, live, kept from annalist.views where projection = $1 order by instance";
    let rows: Vec<(i64, i64, bool, Option<String>)> = sqlx::query_as(all).bind(name).fetch_all(connection).await?;
    let row = |(instance, version, live, kept): (_, _, _, Option<String>)| {
        Ok(Row { instance, version, live, kept: kept.as_deref().map(from_text).transpose()? })
    };
    rows.into_iter().map(row).collect()
}

/// Notes that a rebuild fills an instance.
pub(super) async fn keep(connection: &mut PgConnection, instance: i64, unfinished: Unfinished) -> Result<(), SqlError> {
    let keep = sqlx::query("update annalist.views set kept = $2 where instance = $1").bind(instance);
    keep.bind(to_text(&Kept::Rebuild(unfinished))?).execute(connection).await?;
    Ok(())
}

/// Adds an instance with an empty schema.
pub(super) async fn add(connection: &mut PgConnection, name: &str, version: i64) -> Result<i64, SqlError> {
    let add = "insert into annalist.views (projection, version, store, epoch, position) values ($1, $2, $3, $4, $5) \
               returning instance::bigint";
    let (store, epoch, position) = columns(Cursor::START);
    let add = sqlx::query_scalar(add).bind(name).bind(version).bind(store).bind(epoch).bind(position);
    let instance = add.fetch_one(&mut *connection).await?;
    let schema = format!("create schema {}", quoted(&schema(name, instance)));
    sqlx::raw_sql(AssertSqlSafe(schema)).execute(connection).await?;
    Ok(instance)
}

/// Lets the rest of the transaction find the tables of an instance by their plain names.
pub(super) async fn enter(connection: &mut PgConnection, name: &str, instance: i64) -> Result<(), SqlError> {
    let path = "select set_config('search_path', concat_ws(', ', $1, nullif(current_setting('search_path'), '')), true), \
                set_config('idle_in_transaction_session_timeout', $2, true)";
    let silent = format!("{}ms", WRITER_SILENT.as_millis());
    sqlx::query(path).bind(quoted(&schema(name, instance))).bind(silent).execute(connection).await?;
    Ok(())
}

/// Removes an instance with its tables, unless it is live or being read; tells whether it is gone.
pub(super) async fn remove(connection: &mut PgConnection, name: &str, instance: i64) -> Result<bool, SqlError> {
    let patience = format!("{}ms", REMOVAL_PATIENCE.as_millis());
    sqlx::query("select set_config('lock_timeout', $1, true)").bind(patience).execute(&mut *connection).await?;
    let unread =
        sqlx::query_scalar("select pg_try_advisory_xact_lock($1, $2::int)").bind(LOCKS_INSTANCE).bind(instance);
    if !unread.fetch_one(&mut *connection).await? {
        return Ok(false);
    }
    let removed = sqlx::query("delete from annalist.views where instance = $1 and not live").bind(instance);
    if removed.execute(&mut *connection).await?.rows_affected() == 1 {
        let drop = format!("drop schema if exists {} cascade", quoted(&schema(name, instance)));
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(connection).await?;
    }
    Ok(true)
}

/// Makes an instance the live one, signed by its writer, and keeps the one that was, or nothing but rebuilds. In steps,
/// since no two may be live at any moment.
pub(super) async fn make_live(
    connection: &mut PgConnection,
    name: &str,
    instance: i64,
    writer: &str,
    keep: bool,
) -> Result<(), SqlError> {
    let previous = to_text(&Kept::Previous)?;
    let kept = sqlx::query("update annalist.views set kept = null where projection = $1 and kept = $2").bind(name);
    kept.bind(&previous).execute(&mut *connection).await?;
    let before = "update annalist.views set live = false, writer = $2, kept = $3 where projection = $1 and live";
    let before = sqlx::query(before).bind(name).bind(REPLACED).bind(keep.then_some(previous));
    before.execute(&mut *connection).await?;
    let live = sqlx::query("update annalist.views set live = true, writer = $2, kept = null where instance = $1");
    live.bind(instance).bind(writer).execute(connection).await?;
    Ok(())
}

/// Lets an instance that was replaced be filled again: an older program came back before it was removed.
pub(super) async fn revive(connection: &mut PgConnection, instance: i64) -> Result<(), SqlError> {
    let revive =
        sqlx::query("update annalist.views set writer = '' where instance = $1 and writer = $2").bind(instance);
    revive.bind(REPLACED).execute(connection).await?;
    Ok(())
}

pub(super) async fn is_live(connection: &mut PgConnection, instance: i64) -> Result<bool, SqlError> {
    let live = sqlx::query_scalar("select live from annalist.views where instance = $1").bind(instance);
    Ok(live.fetch_optional(connection).await?.unwrap_or(false))
}

/// The live instance of a version, kept from removal until the end of the transaction, if it is still there.
pub(super) async fn live_for_reading(
    connection: &mut PgConnection,
    name: &str,
    version: i64,
) -> Result<Option<i64>, SqlError> {
    let live = "select instance::bigint from annalist.views where projection = $1 and version = $2 and live";
    let live: Option<i64> = sqlx::query_scalar(live).bind(name).bind(version).fetch_optional(&mut *connection).await?;
    if let Some(instance) = live {
        let keep = sqlx::query("select pg_advisory_xact_lock_shared($1, $2::int)").bind(LOCKS_INSTANCE).bind(instance);
        keep.execute(connection).await?;
    }
    Ok(live)
}

/// Whether the schema of an instance is there, as of now and not as of the transaction's beginning.
pub(super) async fn is_there(connection: &mut PgConnection, name: &str, instance: i64) -> Result<bool, SqlError> {
    let there = sqlx::query_scalar("select to_regnamespace($1) is not null").bind(quoted(&schema(name, instance)));
    Ok(there.fetch_one(connection).await?)
}

pub(super) async fn note(connection: &mut PgConnection, instance: i64) -> Result<Option<Note>, ModelError> {
    let note = "select writer, store, epoch, position from annalist.views where instance = $1";
    read(connection, note, instance).await
}

/// The note of an instance, which nobody else changes until the end of the transaction.
pub(super) async fn lock(connection: &mut PgConnection, instance: i64) -> Result<Option<Note>, ModelError> {
    let note = "select writer, store, epoch, position from annalist.views where instance = $1 for update";
    read(connection, note, instance).await
}

/// The note of an instance, which others may read under this lock too, but not change.
pub(super) async fn share(connection: &mut PgConnection, instance: i64) -> Result<Option<Note>, ModelError> {
    let note = "select writer, store, epoch, position from annalist.views where instance = $1 for share";
    read(connection, note, instance).await
}

async fn read(connection: &mut PgConnection, note: &'static str, instance: i64) -> Result<Option<Note>, ModelError> {
    let row = sqlx::query_as(note).bind(instance).fetch_optional(connection).await.map_err(model)?;
    let note = |(writer, store, epoch, position): (String, String, i64, i64)| {
        cursor(&(store, epoch, position)).map(|cursor| Note { writer, cursor })
    };
    row.map(note).transpose()
}

pub(super) async fn write(
    connection: &mut PgConnection,
    instance: i64,
    writer: &str,
    cursor: Cursor,
) -> Result<(), ModelError> {
    let write = "update annalist.views set writer = $2, store = $3, epoch = $4, position = $5 where instance = $1";
    let (store, epoch, position): Columns = columns(cursor);
    let write = sqlx::query(write).bind(instance).bind(writer).bind(store).bind(epoch).bind(position);
    write.execute(connection).await.map_err(model)?;
    Ok(())
}

/// The name of an instance's schema. A long name of a projection is cut off: the number is unique.
fn schema(name: &str, instance: i64) -> String {
    let end = name.floor_char_boundary(SCHEMA_NAME_BYTES_MAX);
    format!("{}#{instance}", name.get(..end).unwrap_or(name))
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_named_after_its_projection_within_what_postgres_allows() {
        assert_eq!(schema("statement", 7), "statement#7");
        let long = schema(&"ä".repeat(40), i64::from(i32::MAX));
        assert!(long.len() <= 63 && long.ends_with("ä#2147483647"), "{long}");
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
