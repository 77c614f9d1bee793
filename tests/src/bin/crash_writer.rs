//! A process that is there to be killed: it appends from several tasks at once and says on standard output what was
//! acknowledged, a line each, `ack <key> <first position> <last position>`.
//!
//! `crash_writer <folder> <round>` runs until it is killed. `crash_writer <folder> <round> until-unknown` runs until an
//! append has an unknown outcome, then says what the store still does.

use std::{
    io::Write as _,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use annalist_core::{
    Append, AppendError, EventId, EventStore as _, EventType, Expected, Fingerprint, Key, NewEvent, Position, Read,
    StreamId,
};
use annalist_store::{Store, StoreOptions};

const TASKS: u64 = 8;
const STREAMS: u64 = 24;

fn say(line: &str) {
    // One write per line: a line that the parent reads whole was said before the kill.
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(format!("{line}\n").as_bytes());
    let _ = out.flush();
}

/// Small chunks and memtables, so that a short life sees flushes and index chunks.
fn options() -> StoreOptions {
    let mut options = StoreOptions::default();
    options.index_chunk_events = 200;
    options.memtable_bytes = 256 * 1024;
    options
}

struct Writer {
    store: Store,
    round: String,
    next: AtomicU64,
}

impl Writer {
    /// One keyed append of one to three events to one or two streams.
    async fn append(&self) -> Result<(), (String, AppendError)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-{number}", self.round);
        let key = Key::new("crash", id.as_str()).expect("a short name");
        let event = |part: u64| {
            let payload = format!(
                r#"{{"key":"{id}","part":{part},"filler":"{}"}}"#,
                "x".repeat(usize::try_from(number % 700).unwrap_or(0))
            );
            NewEvent::new(EventId::generate(), EventType::new("written").expect("a short name"), payload)
        };
        let stream = |number: u64| StreamId::of("crash", number % STREAMS).expect("a short name");
        let mut append = Append::new().events(stream(number * 7), Expected::Any, (0..=number % 3).map(event));
        if number.is_multiple_of(4) {
            append = append.events(stream(number * 7 + 1), Expected::Any, [event(9)]);
        }
        let append = append.keyed(key, Fingerprint::new([7; 16]), id.clone());
        match self.store.append(append).await {
            Ok(appended) => {
                say(&format!("ack {id} {} {}", appended.after.next(), appended.cursor.position));
                Ok(())
            }
            Err(error) => Err((id, error)),
        }
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(dir), Some(round)) = (arguments.next(), arguments.next()) else {
        say("usage: crash_writer <folder> <round> [until-unknown]");
        return ExitCode::from(2);
    };
    let until_unknown = arguments.next().is_some();
    let store = match Store::open_with(&dir, options()) {
        Ok(store) => store,
        Err(error) => {
            say(&format!("failed to open: {error:?}"));
            return ExitCode::FAILURE;
        }
    };
    say("open");
    let writer = Arc::new(Writer { store, round, next: AtomicU64::new(0) });
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let writer = Arc::clone(&writer);
            tokio::spawn(async move {
                loop {
                    if let Err(failed) = writer.append().await {
                        return failed;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        let Ok((key, error)) = task.await else { return ExitCode::FAILURE };
        match error {
            AppendError::Unknown { .. } => say(&format!("unknown {key}")),
            AppendError::Poisoned { .. } => say(&format!("poisoned {key}")),
            other => say(&format!("failed {key} {other:?}")),
        }
    }
    if until_unknown { after_the_failure(&writer).await } else { ExitCode::FAILURE }
}

/// What a store does whose sync failed: it refuses appends, and reads up to the watermark.
async fn after_the_failure(writer: &Writer) -> ExitCode {
    match writer.append().await {
        Err((key, AppendError::Poisoned { .. })) => say(&format!("refused {key}")),
        other => say(&format!("failed expected a refusal: {other:?}")),
    }
    let mut count = 0;
    let Ok(mut events) = writer.store.read(Read::all(Position::ZERO)).await else { return ExitCode::FAILURE };
    loop {
        match events.next().await {
            Ok(batch) if batch.is_empty() => break,
            Ok(batch) => count += batch.len(),
            Err(error) => say(&format!("failed to read: {error}")),
        }
    }
    let head = writer.store.head().await.map_or(0, |head| head.position.get());
    say(&format!("readable {count} {head}"));
    say(&format!("health {}", writer.store.health().state()));
    if let Err(error) = writer.store.close().await {
        say(&format!("failed to close: {error}"));
    }
    ExitCode::SUCCESS
}
