//! A writer is killed at random moments, many times over, on one and the same store; after each death the store is opened
//! and audited. `ANNALIST_CRASH_ROUNDS` sets how often, `ANNALIST_SEED` repeats a run's moments.
//!
//! SIGKILL leaves what the process handed to the kernel; what a power failure would take is the concern of the sync tests.

#![expect(clippy::print_stdout, reason = "a failed run says how to repeat it")]

use std::process::Command;

use annalist_store::Store;
use tests::writer::{Acks, Kills, Writer, audit};

fn kill_and_audit(delete_the_index: bool) {
    let mut kills = Kills::of(20);
    println!("replay with {kills}");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path().join("store");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let mut acks = Acks::new();
    let mut head = 0;
    for round in 0..kills.rounds {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crash_writer"));
        let writer = Writer::start(&mut command, &dir, &format!("r{round}"), &[]);
        kills.kill(writer, 400, &mut acks);
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
    println!("{} rounds, {} acknowledged appends, {head} events", kills.rounds, acks.len());
    assert!(head > 0, "the rounds wrote something");
}

#[test]
fn acknowledged_appends_survive_sigkill() {
    kill_and_audit(false);
}

#[test]
fn the_index_is_rebuilt_from_the_log_after_sigkill() {
    kill_and_audit(true);
}
