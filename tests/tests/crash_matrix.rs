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

use tests::faults::{Fault, Ledger, Life, Matrix, Plan, Shim, Surroundings, Tally, audit};
use tests::subjects::in_ram;

/// A seed with which a life makes a backup, and no restore.
const BACKS_UP: u64 = 8;

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
    // A single store is somebody looking at it again.
    let is_many = tally.stores >= 10;
    assert!(!is_many || (tally.lives > tally.stores && tally.faults.len() > 10), "many kinds of faults happened");
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

/// The run of seed 31001647 found this: while the disk stays full and too much waits to be put into tables, a write waited inside
/// RocksDB for the recovery that waited for the write (ADR 50). It is refused, what was acknowledged is there, and the process ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_stays_full_holds_nobody_up() {
    let temporary = in_ram();
    let at = Surroundings::new(&temporary.path().join("full")).expect("a folder can be made");
    let plan = Plan { fault: Fault::Enospc, at: 1, on: "write", matching: "log/*.sst", lasting: true, ..Plan::none(1) };
    let life = Life { driver: driver(temporary.path()), number: 0, seed: 3, numbers: 2000, plan, cut: false };
    let mut ledger = Ledger::default();
    let ended =
        life.run(&Shim::compile(temporary.path()), &at, &mut ledger).unwrap_or_else(|problem| panic!("{problem}"));
    assert!(ended.fault.is_some() && !ledger.unknown.is_empty(), "the disk was full, and writing ended: {ended:?}");
    audit(&at.root(), &mut ledger, 3).await.unwrap_or_else(|problem| panic!("{problem}"));
}

/// The same of a view: its writes are refused, which holds up no other, and when there is room it goes on by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_whose_disk_stays_full_holds_nobody_up_and_goes_on_when_there_is_room() {
    let plan = Plan { fault: Fault::Enospc, at: 1, on: "write", matching: "view/*.sst", ..Plan::none(1) };
    a_view_goes_on_when_there_is_room(plan).await;
}

/// The run of seed 3000000088 found this: when there is no room for a new write-ahead log either, RocksDB gives up looking for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_has_no_room_for_a_log_goes_on_when_there_is_room() {
    let plan = Plan { fault: Fault::Enospc, at: 2, on: "write,create", matching: "view/*.log", ..Plan::none(1) };
    a_view_goes_on_when_there_is_room(plan).await;
}

async fn a_view_goes_on_when_there_is_room(plan: Plan) {
    let plan = Plan { lasting: true, ..plan };
    let temporary = in_ram();
    let at = Surroundings::new(&temporary.path().join("full")).expect("a folder can be made");
    // With this seed the driver makes room when the view is refused, and closes everything at the end.
    let life = Life { driver: driver(temporary.path()), number: 0, seed: 4, numbers: 4000, plan, cut: false };
    let mut ledger = Ledger::default();
    let ended =
        life.run(&Shim::compile(temporary.path()), &at, &mut ledger).unwrap_or_else(|problem| panic!("{problem}"));
    let refused = ended.notices.iter().filter(|notice| notice.starts_with("without room: ")).count();
    assert!(ended.fault.is_some() && refused > 0, "the disk was full, and the view said so: {ended:?}");
    assert_eq!(refused, ended.notices.len(), "nothing else was wrong: {ended:?}");
    assert!(ledger.unknown.is_empty(), "the log went on: {:?}", ledger.unknown);
    audit(&at.root(), &mut ledger, 4).await.unwrap_or_else(|problem| panic!("{problem}"));
}

/// A bit that is right on the disk and wrong while a backup copies it would stand in the copy, under a checksum that fits it: the
/// restore would find it, and verifying the backup would not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_bit_while_a_backup_is_copied_is_in_no_backup() {
    let temporary = in_ram();
    let (shim, driver) = (Shim::compile(temporary.path()), driver(temporary.path()));
    let mut hit = 0;
    for at in 1..=90 {
        if hit == 3 {
            break;
        }
        let place = Surroundings::new(&temporary.path().join(at.to_string())).expect("a folder can be made");
        let mut ledger = Ledger::default();
        // With this seed a life makes a backup. Its tables are read to check them, and then copied.
        let plan =
            Plan { fault: Fault::Flip, at, on: "read", matching: "backup.staging/*.sst", ..Plan::none(at * 77_777) };
        let life = Life { driver: driver.clone(), number: 0, seed: BACKS_UP, numbers: 120, plan, cut: false };
        let ended = life.run(&shim, &place, &mut ledger).unwrap_or_else(|problem| panic!("read {at}: {problem}"));
        hit += usize::from(ended.fault.is_some() && !ledger.backups.is_empty());
        audit(&place.root(), &mut ledger, at).await.unwrap_or_else(|problem| panic!("read {at}: {problem}"));
        fs::remove_dir_all(&place.dir).expect("it can be removed");
    }
    println!("{hit} bits were wrong while a backup was made that is whole");
    assert!(hit == 3, "{hit} bits were wrong while a backup was made that is whole");
}

/// The run of seed 2000126 found this: a bit that was right on the disk and wrong in a read ended the recovery of the write-ahead
/// log early, and what stood behind it was gone with the file (ADR 46).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_bit_in_recovery_loses_nothing() {
    let temporary = in_ram();
    let (shim, driver) = (Shim::compile(temporary.path()), driver(temporary.path()));
    let mut hit = 0;
    for at in 1..=10 {
        let place = Surroundings::new(&temporary.path().join(at.to_string())).expect("a folder can be made");
        let mut ledger = Ledger::default();
        let mut lives = Vec::new();
        // The index's log comes first, then that of the log, which the store itself reads before RocksDB does.
        for (number, numbers, plan) in [
            (0, 200, Plan { fault: Fault::Kill, at: 60, on: "write", matching: "log/0", ..Plan::none(at) }),
            (1, 5, Plan { fault: Fault::Flip, at, on: "read", matching: ".log", ..Plan::none(at * 77_777) }),
        ] {
            let life = Life { driver: driver.clone(), number, seed: at, numbers, plan, cut: false };
            lives.push(life.run(&shim, &place, &mut ledger).unwrap_or_else(|problem| panic!("read {at}: {problem}")));
        }
        let last = lives.last().cloned().unwrap_or_default();
        // What the store itself misreads is refused; the next opening, by the audit, finds everything.
        let refused = last.notices.iter().any(|notice| notice.starts_with("failed to open: Damaged"));
        assert!(refused || last.notices.iter().all(|notice| notice.ends_with(" events")), "{lives:?}");
        let file = last.fault.map(|(_, _, file)| file).unwrap_or_default();
        hit += usize::from(file.starts_with("store/log/") && !refused);
        audit(&place.root(), &mut ledger, at).await.unwrap_or_else(|problem| panic!("read {at}: {problem}"));
    }
    println!("{hit} bits of the log were wrong while RocksDB read it");
    assert!(hit >= 2, "{hit} bits of the log were wrong while RocksDB read it");
}
