//! `annalist import`: records events of a file that `annalist export` wrote.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use annalist_core::{AppendError, ImportError, PastEvent, Progress, StoreError};
use clap::Args;
use serde_json::json;

use crate::{
    cloud_events,
    failure::{Done, Failure},
    output::Output,
    place::{Opened, Place},
};

/// What is recorded at once: one sync for all of it.
const EVENTS_AT_ONCE: usize = 256;
const BYTES_AT_ONCE: usize = 4 * 1024 * 1024;

/// Records the events of a file with the ids, versions and times that they have; run it again if it was interrupted
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// The file, as `annalist export` writes it.
    file: PathBuf,
    /// Make the folder of the store if it is not there.
    #[arg(long)]
    create: bool,
}

/// Lines that are recorded together.
#[derive(Default)]
struct Lot {
    events: Vec<PastEvent>,
    lines: Vec<u64>,
    bytes: usize,
}

#[derive(Default)]
struct Total {
    recorded: u64,
    present: u64,
}

pub(crate) async fn run(arguments: Arguments, output: &mut Output) -> Result<Done, Failure> {
    let Arguments { place, file, create } = arguments;
    let unreadable = |error| Failure::Other(format!("cannot read {}: {error}", file.display()));
    let input = File::open(&file).map_err(unreadable)?;
    let total = input.metadata().map_err(unreadable)?.len();
    let store = if create { place.open_or_create().await? } else { place.open().await? };
    let result = import(&store, BufReader::new(input), &file, total).await;
    let head = store.head().await;
    store.close().await?;
    let (Total { recorded, present }, head) = (result?, head?);
    if output.json {
        output.value(&json!({ "recorded": recorded, "present": present, "position": head.position.get() }))?;
    } else {
        output.line(&format!(
            "{recorded} events recorded, {present} were there already; the log ends at {}",
            head.position
        ))?;
    }
    Ok(Done::Well)
}

async fn import(store: &Opened, mut input: impl BufRead, file: &Path, bytes: u64) -> Result<Total, Failure> {
    let bar = Output::bar("importing");
    let (mut total, mut lot, mut line) = (Total::default(), Lot::default(), String::new());
    let mut done = 0;
    for number in 1_u64.. {
        line.clear();
        let at = |why: String| Failure::Line { file: file.to_owned(), number, why };
        let read = input.read_line(&mut line).map_err(|error| at(error.to_string()))?;
        if read > 0 && !line.trim().is_empty() {
            let event = cloud_events::past_event(line.trim_end_matches(['\n', '\r']));
            lot.events.push(event.map_err(|error| at(error.to_string()))?);
            lot.lines.push(number);
            lot.bytes += read;
        }
        let is_full = lot.events.len() >= EVENTS_AT_ONCE || lot.bytes >= BYTES_AT_ONCE;
        if (is_full || read == 0) && !lot.events.is_empty() {
            record(store, std::mem::take(&mut lot), file, &mut total).await?;
        }
        done += read as u64;
        bar.show(Progress { done, total: bytes });
        if read == 0 {
            break;
        }
    }
    Ok(total)
}

async fn record(store: &Opened, lot: Lot, file: &Path, total: &mut Total) -> Result<(), Failure> {
    let imported = store.import(&lot.events).await.map_err(|error| {
        let first = lot.lines.first().copied().unwrap_or_default();
        let number = error.at().and_then(|at| lot.lines.get(at)).copied().unwrap_or(first);
        match error {
            ImportError::Append(AppendError::Store(error @ StoreError::Corrupt { .. })) => error.into(),
            // Nothing is wrong with any line.
            ImportError::Append(error @ (AppendError::Unavailable { .. } | AppendError::Unknown { .. })) => {
                let why = format!("{error}; everything before line {first} is recorded: import the file again");
                Failure::Other(why)
            }
            error => {
                let why = format!("{error}; everything before line {first} is recorded, and may be imported again");
                Failure::Line { file: file.to_owned(), number, why }
            }
        }
    })?;
    total.recorded += imported.recorded;
    total.present += imported.present;
    Ok(())
}
