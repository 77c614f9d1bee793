//! Every kind of fault at every step that changes something on the disk: a process dies, or a call fails, or the power goes
//! with what was not synced; afterwards everything that was promised must hold.
//!
//! Stores have seeds, one after another: `ANNALIST_SEED` is the first one, `ANNALIST_CRASH_STORES` says how many there are.
//! What a failed store leaves is kept, unless `ANNALIST_CRASH_KEEP` is 0. `docs/reliability.md` describes faults, promises and counts.

#![expect(clippy::print_stdout, reason = "a long run says how far it is, a failed one how to repeat it")]

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tests::faults::{Ledger, Life, Matrix, Plan, Shim, Surroundings, Tally, audit};
use tests::subjects::in_ram;

/// What the short form takes.
const SHORT: Duration = Duration::from_secs(15);

fn environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

/// A copy, so that a run that takes hours is not disturbed by the next build.
fn driver(dir: &Path) -> PathBuf {
    let copy = dir.join("driver");
    fs::copy(env!("CARGO_BIN_EXE_fault_driver"), &copy).expect("a file can be copied");
    copy
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_promised_holds_after_every_fault() {
    let temporary = in_ram();
    let matrix = Matrix {
        driver: driver(temporary.path()),
        shim: Shim::compile(temporary.path()),
        dir: temporary.path().join("stores"),
    };
    let stores = environment("ANNALIST_CRASH_STORES");
    // The short form meets the same faults each time, the long one new ones.
    let chosen = || stores.map_or(1, |_| u64::from(std::process::id()) * 1_000_003);
    let first = environment("ANNALIST_SEED").unwrap_or_else(chosen);
    println!("the first store has ANNALIST_SEED={first}");
    let began = Instant::now();
    let mut tally = Tally::default();
    for seed in first.. {
        let is_enough = stores.map_or_else(|| began.elapsed() > SHORT, |stores| tally.stores >= stores);
        if is_enough && tally.stores > 0 {
            break;
        }
        if let Err(problem) = matrix.store(seed, &mut tally).await {
            if environment("ANNALIST_CRASH_KEEP") != Some(0) {
                println!("kept: {}", temporary.keep().display());
            }
            panic!("{problem}\n{tally}");
        }
        if tally.stores.is_multiple_of(100) {
            println!("{tally}after {} s, up to seed {seed}", began.elapsed().as_secs());
        }
    }
    println!("{tally}");
    assert!(tally.lives > tally.stores && tally.faults.len() > 10, "many kinds of faults happened");
}

/// The first run of the matrix found this: the names of the folders that the databases are in were never synced, so that on a
/// file system that does not write names along with the files in them a power failure took the whole store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_store_survives_a_power_failure() {
    let temporary = in_ram();
    let (shim, driver) = (Shim::compile(temporary.path()), driver(temporary.path()));
    for seed in 0..12 {
        let at = Surroundings::new(&temporary.path().join(seed.to_string())).expect("a folder can be made");
        let life = Life { driver: driver.clone(), number: 0, seed, numbers: 20, plan: Plan::none(seed), cut: true };
        let mut ledger = Ledger::default();
        let ended = life.run(&shim, &at, &mut ledger).unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
        assert!(ended.cut && !ledger.acked.is_empty(), "something was acknowledged, and the power went");
        audit(&at.root(), &mut ledger, seed).await.unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
    }
}
