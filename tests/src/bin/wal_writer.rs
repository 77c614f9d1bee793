//! A process that is there to be killed once it has written what it was asked for: a lone writer, one event at a time.
//!
//! `wal_writer <folder> <first> <last> <options as JSON>` appends the events `first` to `last`, each with its number in the payload,
//! says `done` and waits.

use std::{io::Write as _, process::ExitCode};

use annalist_core::{Append, EventId, EventStore as _, EventType, Expected, NewEvent, StreamId};
use annalist_store::Store;

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(format!("{line}\n").as_bytes());
    let _ = out.flush();
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, first, last, options] = &arguments[..] else {
        say("usage: wal_writer <folder> <first> <last> <options as JSON>");
        return ExitCode::from(2);
    };
    let options = serde_json::from_str(options).expect("options of a store");
    let (first, last): (u64, u64) = (first.parse().expect("a number"), last.parse().expect("a number"));
    let store = match Store::open_with(dir, options) {
        Ok(store) => store,
        Err(error) => {
            say(&format!("failed to open: {error:?}"));
            return ExitCode::FAILURE;
        }
    };
    say("open");
    let kind = EventType::new("written").expect("a short name");
    for number in first..=last {
        // Sizes differ, so that records end everywhere in a block; some go on in the next.
        let filler =
            "x".repeat(usize::try_from(number * 37 % 900).expect("small") * if number % 50 == 0 { 50 } else { 1 });
        let event = NewEvent::new(EventId::generate(), kind.clone(), format!("event {number:08} {filler}"));
        let stream = StreamId::of("wal", number % 7).expect("a short name");
        if let Err(error) = store.append(Append::new().events(stream, Expected::Any, [event])).await {
            say(&format!("failed: {error}"));
            return ExitCode::FAILURE;
        }
    }
    say("done");
    std::future::pending::<ExitCode>().await
}
