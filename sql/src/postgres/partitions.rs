//! The statements about partitions: rows of `annalist.partitions`, which go with their instance.

use annalist::projection::{Partition, Reached};
use annalist_core::Position;
use sqlx::PgConnection;

use crate::kept::number;

/// The columns `number`, `of` and `position`.
type Columns = (i32, i32, i64);

/// Keeps others from writing to a partition until the end of the transaction, and tells which partitions, it included, are ahead
/// of a position: that of the cursor of their instance.
pub(super) async fn enter(
    connection: &mut PgConnection,
    instance: i64,
    Partition { number: partition, of }: Partition,
    behind: Position,
) -> Result<Vec<Reached>, sqlx::Error> {
    // Its own mark as it is once the lock is there. Those of as many partitions do not matter here, and those of another number
    // of them are not written any more.
    let enter = "with own as materialized (select number, \"of\", position from annalist.partitions \
                 where instance = $1 and \"of\" = $2 and number = $3 for update) \
                 select number, \"of\", position, true from own union all \
                 select number, \"of\", position, false from annalist.partitions \
                 where instance = $1 and \"of\" <> $2 and position > $4";
    let add = "insert into annalist.partitions values ($1, $2, $3, 0) on conflict do nothing";
    loop {
        let enter = sqlx::query_as(enter).bind(instance).bind(i32::from(of)).bind(i32::from(partition));
        let rows: Vec<(i32, i32, i64, bool)> = enter.bind(number(behind)).fetch_all(&mut *connection).await?;
        if rows.iter().any(|(.., own)| *own) {
            let rows = rows.into_iter().filter_map(|(number, of, position, _)| reached((number, of, position)));
            return Ok(rows.filter(|reached| reached.position > behind).collect());
        }
        sqlx::query(add)
            .bind(instance)
            .bind(i32::from(of))
            .bind(i32::from(partition))
            .execute(&mut *connection)
            .await?;
    }
}

/// The partitions that are ahead of the cursor of their instance.
pub(super) async fn ahead(connection: &mut PgConnection, instance: i64) -> Result<Vec<Reached>, sqlx::Error> {
    let ahead = "select p.number, p.\"of\", p.position from annalist.partitions p \
                 join annalist.views v using (instance) where instance = $1 and p.position > v.position";
    let rows: Vec<Columns> = sqlx::query_as(ahead).bind(instance).fetch_all(connection).await?;
    Ok(rows.into_iter().filter_map(reached).collect())
}

/// Notes how far a partition is.
pub(super) async fn write(
    connection: &mut PgConnection,
    instance: i64,
    Partition { number: partition, of }: Partition,
    position: Position,
) -> Result<(), sqlx::Error> {
    let write = "update annalist.partitions set position = $4 where instance = $1 and \"of\" = $2 and number = $3";
    let write = sqlx::query(write).bind(instance).bind(i32::from(of)).bind(i32::from(partition));
    write.bind(number(position)).execute(connection).await?;
    Ok(())
}

fn reached((number, of, position): Columns) -> Option<Reached> {
    let partition = Partition { number: u16::try_from(number).ok()?, of: u16::try_from(of).ok()? };
    Some(Reached { partition, position: Position::new(u64::try_from(position).ok()?) })
}
