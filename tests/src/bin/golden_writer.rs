//! Writes the data directory that every later version must be able to open: `golden_writer <folder>`. What it holds is
//! described in `tests/tests/golden.rs`, which checks it. Run it once per format, never again for the same one.

use std::{fmt::Write as _, process::ExitCode};

use annalist_core::{
    Append, ContentType, EventId, EventStore as _, EventType, Expected, Fingerprint, Key, Metadata, NewEvent, Position,
    Read, StreamId, Tag, Version,
};
use annalist_store::{Store, StoreOptions};
use uuid::Uuid;

/// Several chunks, several files of pages, and a tail that is only in the write-ahead log.
fn options() -> StoreOptions {
    let mut options = StoreOptions::default();
    options.index_chunk_events = 40;
    options.memtable_bytes = 64 * 1024;
    options.page_bytes = 2048;
    options
}

fn event(number: u64) -> Result<NewEvent, Box<dyn std::error::Error>> {
    let id = EventId::new(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + u128::from(number)));
    let event_type =
        EventType::versioned(if number.is_multiple_of(2) { "even" } else { "odd" }, u16::try_from(number % 3 + 1)?)?;
    let mut event = NewEvent::new(id, event_type, format!(r#"{{"number":{number},"text":"{}"}}"#, "ä".repeat(40)));
    if number.is_multiple_of(5) {
        let mut metadata = Metadata { correlation_id: Some(format!("c{number}")), ..Metadata::default() };
        metadata.pairs.insert("reason".to_owned(), "golden".to_owned());
        event = event.with_tags([Tag::new(format!("five:{number}"))?, Tag::new("five")?]).with_metadata(metadata);
    }
    if number.is_multiple_of(7) {
        event = event.with_content_type(ContentType::BYTES);
    }
    Ok(event)
}

async fn write(dir: &str) -> Result<(), Box<dyn std::error::Error>> {
    let store = Store::open_with(dir, options())?;
    let mut number = 0;
    for round in 0..60_u64 {
        let mut append = Append::new();
        for part in 0..=round % 3 {
            number += 1;
            append = append.events(StreamId::of("golden", (round + part) % 7)?, Expected::Any, [event(number)?]);
        }
        if round % 2 == 0 {
            append = append.keyed(
                Key::new("golden", format!("k{round}"))?,
                Fingerprint::new([9; 16]),
                format!("reply {round}"),
            );
        }
        store.append(append).await?;
    }
    // A keyed commit without events, guarded; and a large commit that spans pages.
    let guard = Append::new().guard(StreamId::new("golden-0")?, Expected::StreamExists);
    store.append(guard.keyed(Key::new("golden", "empty")?, Fingerprint::new([8; 16]), "nothing")).await?;
    let mut large = Vec::new();
    for _ in 0..30 {
        number += 1;
        large.push(event(number)?);
    }
    let large = Append::new().events(StreamId::new("golden-large")?, Expected::Exact(Version::ZERO), large);
    store.append(large.keyed(Key::new("golden", "large")?, Fingerprint::new([7; 16]), "")).await?;

    // Closed and opened again, so that the index has chunks; what comes now is only in the log.
    store.close().await?;
    let store = Store::open_with(dir, options())?;
    number += 1;
    let last = Append::new().events(StreamId::new("golden-3")?, Expected::StreamExists, [event(number)?]);
    store.append(last.keyed(Key::new("golden", "tail")?, Fingerprint::new([6; 16]), "tail")).await?;

    let mut listing = String::new();
    let mut read = store.read(Read::all(Position::ZERO)).await?;
    loop {
        let batch = read.next().await?;
        if batch.is_empty() {
            break;
        }
        for event in batch {
            writeln!(
                listing,
                "{} {} {} {}.v{} {} {} {}",
                event.position,
                event.stream(),
                event.version,
                event.type_name(),
                event.type_version(),
                event.id,
                event.time.as_micros(),
                String::from_utf8_lossy(event.payload())
            )?;
        }
    }
    std::fs::write(format!("{dir}.expected"), listing)?;
    // Without closing: an opened store must find its tail by itself.
    std::process::exit(0)
}

#[tokio::main]
#[expect(clippy::print_stderr, reason = "a program that a person runs")]
async fn main() -> ExitCode {
    let Some(dir) = std::env::args().nth(1) else { return ExitCode::from(2) };
    if let Err(error) = write(&dir).await {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
