//! What takes part in a hand-off takes its locks, queues, threads and clock from `concurrency`: what it took from elsewhere the
//! scheduler would not see.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Other ways to the same things.
const ELSEWHERE: [&str; 12] = [
    "tokio::sync",
    "tokio::task",
    "tokio::time",
    "tokio::spawn",
    "parking_lot",
    "crossbeam_channel",
    "arc_swap",
    "std::thread",
    "std::time::Instant",
    "time::{Duration, Instant}",
    "atomic::{Atomic",
    "sync::{Mutex",
];

/// These count and measure for themselves, and nobody waits for what they say.
const APART: [&str; 3] = ["metrics.rs", "pace.rs", "space.rs"];

/// The sources of the store that are compiled here, tests apart.
fn sources() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lib = fs::read_to_string(root.join("lib.rs")).expect("it can be read");
    let paths = lib.lines().filter_map(|line| line.strip_prefix("#[path = \"")?.strip_suffix("\"]"));
    let mut found = Vec::new();
    for path in paths.map(|path| root.join(path)) {
        if path.ends_with("mod.rs") {
            let folder = fs::read_dir(path.parent().expect("it is in a folder")).expect("it can be listed");
            found.extend(folder.map(|entry| entry.expect("it can be listed").path()).filter(|path| path.is_file()));
        } else {
            found.push(path);
        }
    }
    found.retain(|path| !path.ends_with("tests.rs"));
    found
}

#[test]
fn nothing_is_handed_over_where_no_scheduler_sees_it() {
    let mut wrong = Vec::new();
    let sources = sources();
    assert!(
        sources.iter().any(|path| path.ends_with("sequencer/commit.rs")),
        "the sources were not found: {sources:?}"
    );
    for path in sources.iter().filter(|path| !APART.iter().any(|name| path.ends_with(name))) {
        let text = fs::read_to_string(path).expect("it can be read");
        let found = ELSEWHERE.iter().filter(|name| text.contains(**name));
        wrong.extend(found.map(|name| format!("{}: {name}", path.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
