//! A writer is killed at random moments, many times over, on one and the same store; after each death the store is opened
//! and audited. `ANNALIST_CRASH_ROUNDS` sets how often, `ANNALIST_SEED` repeats a run's moments.
//!
//! SIGKILL leaves what the process handed to the kernel; what a power failure would take is the concern of the sync tests.

#![expect(clippy::print_stdout, reason = "a failed run says how to repeat it")]

mod support;

use std::{collections::HashMap, thread, time::Duration};

use annalist_store::Store;
use support::{Writer, ack, audit};

/// A small generator of pseudo-random numbers (xorshift64, Marsaglia 2003).
fn next_random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn environment(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn kill_and_audit(rounds: u64, delete_the_index: bool) {
    let seed = environment("ANNALIST_SEED", u64::from(std::process::id()) * 7919 + 1).max(1);
    println!("replay with ANNALIST_SEED={seed}");
    let mut random = seed;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path().join("store");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let mut acks = HashMap::new();
    let mut head = 0;
    for round in 0..rounds {
        let mut writer = Writer::start(&mut Writer::command(), &dir, &format!("r{round}"), &[]);
        // Some die young, while the store is still busy with what it found.
        let wanted = next_random(&mut random) % 400;
        for _ in 0..wanted {
            let line = writer.line().expect("the writer goes on until it is killed");
            let (key, first, last) = ack(&line).unwrap_or_else(|| panic!("round {round}: {line}"));
            acks.insert(key, (first, last));
        }
        thread::sleep(Duration::from_micros(next_random(&mut random) % 3000));
        writer.child.kill().expect("the writer can be killed");
        for line in writer.rest() {
            if let Some((key, first, last)) = ack(&line) {
                acks.insert(key, (first, last));
            }
        }
        if delete_the_index {
            std::fs::remove_dir_all(dir.join("index")).expect("the index can be deleted");
        }
        let store = Store::open(&dir).unwrap_or_else(|error| panic!("round {round}: {error:?}"));
        let now = runtime.block_on(async {
            let head = audit(&store, &acks).await;
            store.close().await.expect("the store closes");
            head
        });
        assert!(now >= head, "the log never shrinks");
        head = now;
    }
    println!("{rounds} rounds, {} acknowledged appends, {head} events", acks.len());
    assert!(head > 0, "the rounds wrote something");
}

#[test]
fn acknowledged_appends_survive_sigkill() {
    kill_and_audit(environment("ANNALIST_CRASH_ROUNDS", 20), false);
}

#[test]
fn the_index_is_rebuilt_from_the_log_after_sigkill() {
    kill_and_audit(environment("ANNALIST_CRASH_ROUNDS", 20), true);
}
