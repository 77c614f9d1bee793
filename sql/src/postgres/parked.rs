//! The statements about events that were set aside: rows of `annalist.parked`, which go with their instance.

use annalist::projection::Parked;
use annalist_core::Position;
use sqlx::PgConnection;

use crate::kept::{limit, number, parked, parked_columns};

pub(super) async fn park(connection: &mut PgConnection, instance: i64, parked: &Parked) -> Result<(), sqlx::Error> {
    let park = "insert into annalist.parked values ($1, $2, $3, $4, $5, $6) on conflict (instance, key, position) \
                do update set error = excluded.error, attempts = excluded.attempts, time = excluded.time";
    let (key, position, error, attempts, time) = parked_columns(parked);
    // PostgreSQL knows no zero in a text.
    let error = error.map(|error| error.replace('\0', "\u{fffd}"));
    let park = sqlx::query(park).bind(instance).bind(key).bind(position).bind(error).bind(attempts).bind(time);
    park.execute(connection).await?;
    Ok(())
}

pub(super) async fn unpark(
    connection: &mut PgConnection,
    instance: i64,
    key: &str,
    position: Position,
) -> Result<(), sqlx::Error> {
    let unpark = "delete from annalist.parked where instance = $1 and key = $2 and position = $3";
    sqlx::query(unpark).bind(instance).bind(key).bind(number(position)).execute(connection).await?;
    Ok(())
}

/// The parked events of an instance behind one, or from the first on.
pub(super) async fn list(
    connection: &mut PgConnection,
    instance: i64,
    after: Option<(&str, Position)>,
    count: usize,
) -> Result<Vec<Parked>, sqlx::Error> {
    let (key, position) = after.map_or(("", -1), |(key, position)| (key, number(position)));
    let list = "select key, position, error, attempts, time from annalist.parked \
                where instance = $1 and (key, position) > ($2, $3) order by key, position limit $4";
    let list = sqlx::query_as(list).bind(instance).bind(key).bind(position).bind(limit(count));
    Ok(list.fetch_all(connection).await?.into_iter().map(parked).collect())
}
