//! A process that is killed at every step of a backup and of a restore: nothing half is taken for whole, and running it again
//! works. The process is this test binary, started again with a task in its environment.

use std::{
    env, fs,
    ops::ControlFlow,
    path::Path,
    process::{Command, ExitStatus},
};

use annalist_core::{
    Append, EventId, EventStore as _, EventType, Expected, NewEvent, Position, Read, RecordedEvent, StreamId,
};
use annalist_store::{BackupOptions, Backups, RestoreOptions, RestoreStep, Store, StoreOptions};

const TASK: &str = "ANNALIST_TEST_TASK";
const FOLDER: &str = "ANNALIST_TEST_FOLDER";
const STEP: &str = "ANNALIST_TEST_STEP";

fn options() -> StoreOptions {
    let mut options = StoreOptions::default();
    options.memtable_bytes = 64 * 1024;
    options.index_chunk_events = 100;
    options
}

async fn fill(store: &Store, count: u64) {
    for number in 0..count {
        let event_type = EventType::new("counted").expect("a type");
        let event =
            NewEvent::new(EventId::generate(), event_type, format!(r#"{{"n":{number},"x":"{}"}}"#, "x".repeat(200)));
        let stream = StreamId::of("count", number % 3).expect("a stream");
        store.append(Append::new().events(stream, Expected::Any, [event])).await.expect("it is recorded");
    }
}

async fn all(store: &Store) -> Vec<RecordedEvent> {
    let verified = store.verify(Position::ZERO, |_| ControlFlow::Continue(())).await.expect("it can be verified");
    assert!(verified.is_sound(), "{verified:?}");
    let mut batches = store.read(Read::all(Position::ZERO)).await.expect("it can be read");
    let mut events = Vec::new();
    loop {
        let batch = batches.next().await.expect("it can be read");
        if batch.is_empty() {
            return events;
        }
        events.extend(batch);
    }
}

/// What the process does that is killed: it does so itself, where a step is told, so that every step has its turn.
#[tokio::test]
async fn child() {
    let (Ok(task), Ok(folder), Ok(step)) = (env::var(TASK), env::var(FOLDER), env::var(STEP)) else { return };
    let mut left: u64 = step.parse().expect("a number");
    let mut step = move || {
        if left == 0 {
            std::process::abort();
        }
        left -= 1;
    };
    let folder = Path::new(&folder);
    match task.as_str() {
        "backup" => {
            let store = Store::open_with(folder.join("data"), options()).expect("it opens");
            fill(&store, 150).await;
            let backup = store.backup(folder.join("backups"), BackupOptions::default(), move |_| step()).await;
            backup.expect("a backup is made");
            store.close().await.expect("it closes");
        }
        "restore" => {
            let mut to = RestoreOptions::default();
            to.store = options();
            to.to = Some(Position::new(200));
            let restored = Backups::of(folder.join("backups"));
            restored.restore(None, folder.join("restored"), to, |_: RestoreStep| step()).expect("it is restored");
        }
        other => panic!("there is no task {other}"),
    }
}

fn run(task: &str, folder: &Path, step: u64) -> ExitStatus {
    let mut command = Command::new(env::current_exe().expect("it has a path"));
    command.args(["--exact", "child", "--nocapture"]).env(TASK, task).env(FOLDER, folder).env(STEP, step.to_string());
    command.output().expect("it runs").status
}

#[tokio::test]
async fn a_process_killed_at_any_step_leaves_only_whole_backups() {
    let folder = tempfile::tempdir().expect("a folder");
    let backups = Backups::of(folder.path().join("backups"));
    let mut kills = 0;
    // Each run adds events and makes one more backup, killed one step later than the one before.
    for step in 0..200 {
        let ended = run("backup", folder.path(), step);
        let listed = backups.list().expect("it can be listed");
        for backup in &listed {
            let number = backup.as_ref().expect("its manifest is whole").number;
            assert_eq!(backups.verify(Some(number), |_| {}).expect("it can be read"), [], "killed at step {step}");
        }
        if ended.success() {
            assert_eq!(listed.len(), 1, "the one that was not killed");
            break;
        }
        assert!(listed.is_empty(), "killed at step {step}");
        kills += 1;
    }
    assert!(kills > 2, "there are steps");
    let store = Store::open_with(folder.path().join("data"), options()).expect("it opens");
    assert!(!folder.path().join("data/backup.staging").exists(), "what was linked is removed");
    let original = all(&store).await;
    store.close().await.expect("it closes");

    // Each file that is copied is a step, and each page that is read again: not all of these are alike.
    let mut kills = 0;
    for step in (0..30).chain((30..240).step_by(23)) {
        if run("restore", folder.path(), step).success() {
            break;
        }
        Store::open(folder.path().join("restored")).map(|_| ()).expect_err("it is no store");
        kills += 1;
    }
    assert!(kills > 30, "files are copied, and pages are read");
    if !folder.path().join("restored/STORE").exists() {
        assert!(run("restore", folder.path(), u64::MAX).success(), "nobody kills it");
    }
    let restored = Store::open_with(folder.path().join("restored"), options()).expect("it opens");
    assert_eq!(all(&restored).await, original[..200]);
    restored.close().await.expect("it closes");
    fs::remove_dir_all(folder.path().join("restored")).expect("it can be removed");
}
