//! The import: each row becomes an order that is placed, paid and shipped; many rows at once, none twice.

use std::{num::NonZeroUsize, panic::resume_unwind, pin::pin};

use annalist::{App, Command, CommandError, Decide, ExecuteError};
use tokio::{
    sync::mpsc,
    task::{JoinSet, spawn_blocking},
};

use crate::{
    domain::{Order, OrderRejected, Pay, Place, Ship},
    progress::Progress,
    rows::{BadRow, FileError, Row, Rows},
};

/// How many bad rows are told one by one; the rest is counted.
pub const BAD_ROWS_KEPT: usize = 100;

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Rows that are orders now, whichever run made them so.
    pub rows: u64,
    /// Rows that are not.
    pub bad_rows: u64,
    /// The first [`BAD_ROWS_KEPT`] of those.
    pub bad: Vec<BadRow>,
    /// Events that were appended, not counting those of earlier runs.
    pub events: u64,
    /// Whether it was told to stop before the last row.
    pub stopped: bool,
}

/// Why an import ended early. What was imported stays; running it again goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The store does not take it.
    #[error("line {line} could not be imported")]
    Command {
        /// The line of the row.
        line: u64,
        /// Why.
        source: CommandError,
    },
}

/// Imports all rows, `in_flight` at a time, until `stop` is ready; the rows in flight then are finished.
///
/// # Errors
/// [`ImportError`] when the file or the store fails; the rows in flight were finished where they could be.
pub async fn import(
    app: &App,
    rows: Rows,
    in_flight: NonZeroUsize,
    progress: &mut Progress,
    stop: impl Future<Output = ()>,
) -> Result<Imported, ImportError> {
    let (sender, mut queue) = mpsc::channel(in_flight.get());
    let reader = spawn_blocking(move || rows.map(|row| sender.blocking_send(row)).find(Result::is_err));
    let mut stop = pin!(stop);
    let mut running = JoinSet::new();
    let mut imported = Imported::default();
    let mut failure = None;
    while failure.is_none() {
        tokio::select! {
            biased;
            () = &mut stop => {
                imported.stopped = true;
                break;
            }
            Some(done) = running.join_next() => {
                failure = imported.count(done.unwrap_or_else(|error| resume_unwind(error.into_panic())), progress).err();
            }
            row = queue.recv(), if running.len() < in_flight.get() => match row {
                Some(Ok(Ok(row))) => _ = running.spawn(import_row(app.clone(), row)),
                Some(Ok(Err(bad))) => imported.bad(bad, progress),
                Some(Err(error)) => failure = Some(error.into()),
                None => break,
            },
        }
    }
    drop(queue);
    while let Some(done) = running.join_next().await {
        let done = done.unwrap_or_else(|error| resume_unwind(error.into_panic()));
        failure = imported.count(done, progress).err().or(failure);
    }
    if let Err(error) = reader.await {
        resume_unwind(error.into_panic());
    }
    failure.map_or(Ok(imported), Err)
}

impl Imported {
    fn count(&mut self, done: Result<u64, RowError>, progress: &mut Progress) -> Result<(), ImportError> {
        match done {
            Ok(events) => {
                self.rows += 1;
                self.events += events;
                progress.done(self.rows + self.bad_rows);
            }
            Err(RowError::Bad(bad)) => self.bad(bad, progress),
            Err(RowError::Failed(error)) => return Err(error),
        }
        Ok(())
    }

    fn bad(&mut self, bad: BadRow, progress: &mut Progress) {
        self.bad_rows += 1;
        if self.bad.len() < BAD_ROWS_KEPT {
            progress.say(&format!("line {}: {}", bad.line, bad.reason));
            self.bad.push(bad);
        }
        progress.done(self.rows + self.bad_rows);
    }
}

/// Why a row is no order.
enum RowError {
    Bad(BadRow),
    Failed(ImportError),
}

/// Takes one row through its three steps; returns how many events that added.
///
/// Each step has a key, so that a step which was done before, by this run or one that was killed, is not done again.
async fn import_row(app: App, row: Row) -> Result<u64, RowError> {
    let Row { customer, date, cds, dollars, .. } = row;
    let placed = step(&app, &row, "place", Place { customer, date, cds, total: dollars }).await?;
    let paid = step(&app, &row, "pay", Pay { date, amount: dollars }).await?;
    let shipped = step(&app, &row, "ship", Ship { date }).await?;
    Ok(placed + paid + shipped)
}

async fn step<C: Command>(app: &App, row: &Row, name: &str, command: C) -> Result<u64, RowError>
where
    Order: Decide<C, Rejection = OrderRejected>,
{
    let request = format!("row-{}", row.order);
    let key = format!("{request}/{name}");
    let error = match app.on::<Order>(row.order).execute(command).key(key).correlation(request).await {
        Ok(receipt) if receipt.repeated => return Ok(0),
        Ok(receipt) => return Ok(receipt.events),
        Err(error) => error,
    };
    let line = row.line();
    match error {
        ExecuteError::Rejected(reason) => Err(RowError::Bad(BadRow { line, reason: reason.to_string() })),
        ExecuteError::Failed(CommandError::KeyReused { .. }) => {
            let reason = "it was imported before with other content".to_owned();
            Err(RowError::Bad(BadRow { line, reason }))
        }
        ExecuteError::Failed(source) => Err(RowError::Failed(ImportError::Command { line, source })),
    }
}
