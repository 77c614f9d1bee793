//! `annalist export`: events as CloudEvents, one for each line of a file.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, BufWriter, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use annalist_core::{EventStore, Position, Read, RecordedEvent, StoreId};
use annalist_store::Progress;
use clap::Args;
use serde_json::json;

use crate::{
    cloud_events,
    events::Which,
    failure::{Done, Failure},
    output::Output,
    place::Place,
};

/// Writes events to a file as CloudEvents in JSON, one for each line
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// The file; it is `FILE.part` until all is in it.
    file: PathBuf,
    #[command(flatten)]
    which: Which,
    /// Begin behind this position.
    #[arg(long, default_value_t = 0)]
    after: u64,
    /// Up to this position; otherwise to the end.
    #[arg(long)]
    to: Option<u64>,
    /// Go on with what an interrupted export left in `FILE.part`, with the same other arguments.
    #[arg(long)]
    resume: bool,
}

/// What was written.
#[derive(Default)]
struct Written {
    events: u64,
    /// Marks of keyed commits that recorded no events: no export needs them.
    left_out: u64,
}

pub(crate) async fn run(arguments: &Arguments, output: &mut Output) -> Result<Done, Failure> {
    let query = arguments.which.query()?;
    let part = part_of(&arguments.file);
    let refuse = |path: &Path, what: &str| Failure::Usage(format!("{} is there already; {what}", path.display()));
    if arguments.file.exists() {
        return Err(refuse(&arguments.file, "name another file"));
    }
    if part.exists() && !arguments.resume {
        return Err(refuse(&part, "go on with it (--resume), or remove it"));
    }
    let store = arguments.place.open_to_read().await?;
    let head = store.head().await?;
    let (mut file, done) = open(&part, head.store)?;
    let after = done.unwrap_or(arguments.after).max(arguments.after);
    let end = arguments.to.map_or(head.position, |to| head.position.min(Position::new(to)));
    let written = write(&*store, Read::query(query, Position::new(after)), end, &mut file).await?;
    let file = file.into_inner().map_err(|error| failed(&part)(error.into_error()))?;
    file.sync_all().map_err(failed(&part))?;
    fs::rename(&part, &arguments.file).map_err(failed(&arguments.file))?;
    store.close().await?;
    let Written { events, left_out } = written;
    if output.json {
        output.value(&json!({ "events": events, "left_out": left_out, "after": after, "through": end.get() }))?;
    } else {
        output.line(&format!(
            "{events} events behind position {after}, up to {end}, are in {}",
            arguments.file.display()
        ))?;
    }
    Ok(Done::Well)
}

async fn write(
    store: &dyn EventStore,
    read: Read,
    end: Position,
    file: &mut BufWriter<File>,
) -> Result<Written, Failure> {
    let bar = Output::bar("exporting");
    let (mut written, mut batches) = (Written::default(), store.read(read).await?);
    let origin = batches.head().store;
    loop {
        let batch = batches.next().await?;
        let Some(last) = batch.last().map(|last| last.position) else { return Ok(written) };
        for event in batch.iter().filter(|event| event.position <= end) {
            if event.is_system() {
                written.left_out += 1;
                continue;
            }
            put(event, origin, file)?;
            written.events += 1;
        }
        bar.show(Progress { done: last.get().min(end.get()), total: end.get() });
        if last >= end {
            return Ok(written);
        }
    }
}

fn put(event: &RecordedEvent, store: StoreId, file: &mut BufWriter<File>) -> Result<(), Failure> {
    let line = cloud_events::line(event, store);
    let line = line.map_err(|error| Failure::Other(format!("the event at {}: {error}", event.position)))?;
    writeln!(file, "{line}").map_err(Failure::Output)
}

fn part_of(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    file.with_file_name(name)
}

/// Opens what an interrupted export left, without a line that was not finished, and tells how far it came.
fn open(part: &Path, store: StoreId) -> Result<(BufWriter<File>, Option<u64>), Failure> {
    let file = File::options().read(true).write(true).create(true).truncate(false).open(part);
    let mut file = file.map_err(failed(part))?;
    let mut lines = BufReader::new(&file);
    let (mut whole, mut last, mut line) = (0, String::new(), String::new());
    loop {
        line.clear();
        match lines.read_line(&mut line) {
            Ok(0) => break,
            Ok(bytes) if line.ends_with('\n') => {
                whole += bytes as u64;
                std::mem::swap(&mut line, &mut last);
            }
            // The end of a line may have been cut off within a character, too.
            Ok(_) => break,
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => break,
            Err(error) => return Err(failed(part)(error)),
        }
    }
    let done = if last.is_empty() {
        None
    } else {
        let done = cloud_events::origin(last.trim_end(), store);
        let what = || Failure::Usage(format!("{} does not end with an event of this store; remove it", part.display()));
        Some(done.ok_or_else(what)?)
    };
    file.set_len(whole).map_err(failed(part))?;
    file.seek(SeekFrom::End(0)).map_err(failed(part))?;
    Ok((BufWriter::new(file), done))
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    let path = path.display().to_string();
    move |error| Failure::Other(format!("cannot write {path}: {error}"))
}
