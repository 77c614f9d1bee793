//! A process that is there to meet faults: it does everything that a store does to the disk, and says on standard output
//! what it was told, a line each. `tests/src/faults/life.rs` starts it and reads the lines.
//!
//! `fault_driver <root> <life> <seed> <numbers> [look] [cut]` works on the store in `<root>/store`, the view in `<root>/view`, and backups.
//! With `look` it first reads everything and compares it with what it must be; with `cut` it lets the power go at the end.

use std::{
    collections::HashMap,
    io::Write as _,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use annalist_core::{
    Append, AppendError, Checkpoints, Cursor, EventId, EventStore as _, EventType, Expected, Fingerprint, Key,
    NewEvent, Position, Query, Read, Snapshot, Snapshots, StoreError, StreamId, Tag, Version,
};
use annalist_store::{BackupOptions, Backups, KeyValue, KeyValueBatch, RestoreOptions, Store};
use tests::faults::{BACKUPS, Id, Kind, RESTORED, Random, options, payload, view_options, whose};
use tokio::sync::Mutex;

const TASKS: u64 = 4;
const AFTER_REOPENING: u64 = 25;
/// What a seed is mixed with to say whether a life makes a backup, and restores one.
const BACK_UP: u64 = 0xb;
const RESTORE: u64 = 0xe;
/// And whether there is room again on a disk that was full, once a view has noticed.
const MAKE_ROOM: u64 = 0xf;
/// How often a view is asked whether it goes on.
const AGAIN: Duration = Duration::from_millis(50);

fn say(line: &str) {
    // One write per line: a line that the parent reads whole was said before the end.
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(format!("{line}\n").as_bytes());
    let _ = out.flush();
}

/// A step that could not be done: nothing more is done in this life.
struct Stopped;

struct Driver {
    store: Store,
    view: Mutex<KeyValue>,
    life: u64,
    next: AtomicU64,
    end: u64,
    /// What is opened to make room on a full disk, if that is done.
    room: Option<PathBuf>,
}

/// A task's own stream.
struct Own {
    name: String,
    version: Version,
    last: Option<EventId>,
}

impl Driver {
    async fn work(self: Arc<Self>, mut own: Own, task: u64) -> Result<Own, Stopped> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.end {
                return Ok(own);
            }
            let id = Id { life: self.life, number };
            match id.kind() {
                Kind::Note => self.note(id, task).await?,
                Kind::Snapshot => self.snapshot(&own).await?,
                Kind::View => self.view().await?,
                Kind::Again => self.append(Id { number: number - 12, ..id }, &mut own).await?,
                Kind::Plain | Kind::Large | Kind::Own | Kind::Unique | Kind::Bare => self.append(id, &mut own).await?,
            }
        }
    }

    async fn append(&self, id: Id, own: &mut Own) -> Result<(), Stopped> {
        let mut append = Append::new();
        let (mut part, mut ids) = (0, Vec::new());
        for (stream, count) in id.entries(&own.name) {
            let events: Vec<NewEvent> = (part..part + count)
                .map(|part| {
                    let event_id = EventId::generate();
                    ids.push(event_id);
                    let kind = EventType::new("written").expect("a short name");
                    let event = NewEvent::new(event_id, kind, payload(id, part));
                    let tag = (id.kind() == Kind::Unique).then(|| Tag::new(id.tag()).expect("a short name"));
                    event.with_tags(tag)
                })
                .collect();
            part += count;
            let expected = match (id.kind(), own.version) {
                (Kind::Own, Version::ZERO) => Expected::NoStream,
                (Kind::Own, version) => Expected::Exact(version),
                _ => Expected::Any,
            };
            append = append.events(StreamId::new(stream).expect("a short name"), expected, events);
        }
        if id.kind() == Kind::Unique {
            append = append.unless(Query::tags([Tag::new(id.tag()).expect("a short name")]), Cursor::START);
        }
        let key = Key::new("faults", id.to_string()).expect("a short name");
        let appended = self.store.append(append.keyed(key, Fingerprint::new([7; 16]), id.to_string())).await;
        match appended {
            Ok(appended) => {
                if id.kind() == Kind::Own && !appended.repeated {
                    own.version = appended.streams.first().map_or(own.version, |(_, version)| *version);
                    own.last = ids.last().copied();
                }
                say(&format!("ack {id} {} {}", appended.after.next(), appended.cursor.position));
                Ok(())
            }
            Err(AppendError::ConditionFailed { .. }) if id.kind() == Kind::Unique => {
                say(&format!("refused {id} condition"));
                Ok(())
            }
            Err(AppendError::Unknown { .. }) => {
                say(&format!("unknown {id}"));
                Err(Stopped)
            }
            Err(error) => {
                say(&format!("refused {id} {error}"));
                Err(Stopped)
            }
        }
    }

    async fn note(&self, id: Id, task: u64) -> Result<(), Stopped> {
        let head = self.store.head().await.map_err(|error| stopped("the head", &error))?;
        let (name, note) = (format!("consumer-{task}"), format!("{id} {}", head.position));
        let saved = Checkpoints::save(&self.store, &name, note.clone().into()).await;
        saved.map_err(|error| stopped("a note", &error))?;
        say(&format!("note {name} {note}"));
        Ok(())
    }

    async fn snapshot(&self, own: &Own) -> Result<(), Stopped> {
        let Some(event_id) = own.last else { return Ok(()) };
        let state = format!("{} {}", own.name, own.version).into_bytes().into();
        let snapshot = Snapshot { version: own.version, event_id, schema: "own".to_owned(), state };
        let stream = StreamId::new(own.name.as_str()).expect("a short name");
        Snapshots::save(&self.store, &stream, snapshot).await.map_err(|error| stopped("a snapshot", &error))
    }

    /// Brings the view up to date. One whose disk is full must go on by itself when there is room.
    async fn view(&self) -> Result<(), Stopped> {
        let view = self.view.lock().await;
        loop {
            let batch = self.what_is_new(&view).await?;
            match (view.write(batch), &self.room) {
                (Err(error), Some(room)) if error.to_string().contains("make room") => {
                    say(&format!("without room: {error}"));
                    // Not at once: RocksDB itself looks first whether there is room.
                    tokio::time::sleep(AGAIN).await;
                    let _ = std::fs::File::open(room);
                }
                (written, _) => return written.map_err(|error| stopped("a view", &error)),
            }
        }
    }

    /// Rows and cursor in one batch, as views have them.
    async fn what_is_new(&self, view: &KeyValue) -> Result<KeyValueBatch, Stopped> {
        let before = view.get(b"cursor").map_err(|error| stopped("a view", &error))?;
        let cursor =
            before.as_deref().and_then(|bytes| bytes.as_array::<8>()).map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let read = self.store.read(Read::all(Position::new(cursor)).limit(300)).await;
        let mut read = read.map_err(|error| stopped("a read", &error))?;
        let mut batch = KeyValueBatch::new();
        let mut last = cursor;
        loop {
            let events = read.next().await.map_err(|error| stopped("a read", &error))?;
            let Some(newest) = events.last() else { break };
            last = newest.position.get();
            for event in &events {
                batch.put(&row(event.position), event.id.uuid().as_bytes());
            }
        }
        batch.only_if(b"cursor".to_vec(), before);
        batch.put(b"cursor", &last.to_be_bytes());
        Ok(batch)
    }
}

fn row(position: Position) -> Vec<u8> {
    [b"row-".as_slice(), &position.get().to_be_bytes()].concat()
}

fn stopped(what: &str, error: &dyn std::error::Error) -> Stopped {
    say(&format!("failed {what}: {error}"));
    Stopped
}

struct Life {
    root: PathBuf,
    number: u64,
    seed: u64,
}

impl Life {
    fn store_dir(&self) -> PathBuf {
        self.root.join("store")
    }

    /// Whether the seed has chosen this, as it does in a third of the lives.
    const fn does(&self, what: u64) -> bool {
        Random::new(self.seed ^ what).below(3) == 0
    }

    /// What is opened to make room on the disk, if that is what it lacks.
    fn room(&self) -> Option<PathBuf> {
        let plan = std::env::var("FAULTS_PLAN").unwrap_or_default();
        let is_full = plan.contains("fault=enospc") || plan.contains("fault=short");
        (is_full && self.does(MAKE_ROOM)).then(|| self.root.join("room-made"))
    }

    /// Makes a store of the last backup.
    fn restore(&self) -> Result<(), Stopped> {
        let backups = Backups::of(self.root.join(BACKUPS));
        if backups.list().map_err(|error| stopped("to list backups", &error))?.is_empty() {
            return Ok(());
        }
        let dir = self.root.join(RESTORED);
        if dir.join("STORE").exists() {
            say("discarding");
            discard(&self.root, &dir).map_err(|error| stopped("to discard", &error))?;
        }
        let mut settings = RestoreOptions::default();
        settings.store = options(self.seed);
        let restored = tokio::task::block_in_place(|| backups.restore(None, dir, settings, |_| {}));
        let restored = restored.map_err(|error| stopped("to restore", &error))?;
        say(&format!("restored {}", restored.head.position));
        Ok(())
    }

    fn open(&self) -> Result<Store, Stopped> {
        Store::open_with(self.store_dir(), options(self.seed)).map_err(|error| {
            say(&format!("failed to open: {error:?}"));
            Stopped
        })
    }

    /// Opens, does the numbers from `first` to before `end`, and hands the store back.
    async fn work(
        &self,
        view: &KeyValue,
        (first, end): (u64, u64),
        own: Vec<Own>,
    ) -> Result<(Store, Vec<Own>), Stopped> {
        let store = self.open()?;
        say("open");
        let driver = Arc::new(Driver {
            store: store.clone(),
            view: Mutex::new(view.clone()),
            life: self.number,
            next: AtomicU64::new(first),
            end,
            room: self.room(),
        });
        let tasks: Vec<_> =
            (0..).zip(own).map(|(task, own)| tokio::spawn(Arc::clone(&driver).work(own, task))).collect();
        if self.does(BACK_UP) {
            back_up(&store, self.root.join(BACKUPS)).await;
        }
        let mut ended = Vec::new();
        for task in tasks {
            ended.push(task.await.map_err(|error| stopped("a task", &error))?);
        }
        let ended: Result<Vec<Own>, Stopped> = ended.into_iter().collect();
        if ended.is_err() {
            after_a_failure(&store).await;
        }
        ended.map(|own| (store, own))
    }

    async fn run(&self, numbers: u64) -> Result<(), Stopped> {
        let view = KeyValue::open_with(self.root.join("view"), &view_options()).map_err(|error| {
            say(&format!("failed to open: {error:?}"));
            Stopped
        })?;
        let own = (0..TASKS).map(|task| Own {
            name: format!("own-{}t{task}", self.number),
            version: Version::ZERO,
            last: None,
        });
        let (store, own) = self.work(&view, (0, numbers), own.collect()).await?;
        let ending = Random::new(self.seed).below(10);
        if ending < 4 {
            return Ok(());
        }
        close(&store).await?;
        if ending < 6 {
            Store::rebuild_index(self.store_dir(), options(self.seed), |_| {}).map_err(|error| {
                say(&format!("failed to rebuild: {error:?}"));
                Stopped
            })?;
            say("rebuilt");
        }
        if self.does(RESTORE) {
            self.restore()?;
        }
        if ending < 9 {
            let (store, _) = self.work(&view, (numbers, numbers + AFTER_REOPENING), own).await?;
            close(&store).await?;
        }
        view.close().map_err(|error| stopped("the view", &error))
    }
}

/// Makes a backup while the tasks go on.
async fn back_up(store: &Store, dir: PathBuf) {
    say("backing-up");
    let mut options = BackupOptions::default();
    options.keep = NonZeroUsize::new(2);
    match store.backup(dir, options, |_| {}).await {
        Ok(backup) => say(&format!("backup {} {}", backup.number, backup.head.position)),
        Err(error) => say(&format!("failed to back up: {error:?}")),
    }
}

/// Removes a restored store, so that no part of it is taken for one.
fn discard(root: &Path, dir: &Path) -> std::io::Result<()> {
    let trash = root.join("trash");
    if trash.exists() {
        std::fs::remove_dir_all(&trash)?;
    }
    std::fs::rename(dir, &trash)?;
    std::fs::File::open(root)?.sync_all()?;
    std::fs::remove_dir_all(&trash)
}

async fn close(store: &Store) -> Result<(), Stopped> {
    store.close().await.map_err(|error| stopped("to close", &error))?;
    say("closed");
    Ok(())
}

/// What a store must do whose write failed: take nothing more, and be read up to its head.
async fn after_a_failure(store: &Store) {
    match read_all(store).await {
        Ok(count) => {
            let head = store.head().await.map_or(0, |head| head.position.get());
            if count != head {
                say(&format!("wrong {count} of {head} events can be read"));
            }
        }
        Err(error) => say(&format!("failed to read: {error}")),
    }
    let _ = close(store).await;
}

/// Reads the log and says what is wrong in it.
async fn read_all(store: &Store) -> Result<u64, StoreError> {
    let mut read = store.read(Read::all(Position::ZERO)).await?;
    let mut count = 0;
    loop {
        let events = read.next().await?;
        if events.is_empty() {
            return Ok(count);
        }
        for event in &events {
            count += 1;
            if event.position.get() != count {
                say(&format!("wrong position {} instead of {count}", event.position));
            }
            if event.stream() != annalist_core::SYSTEM_STREAM && whose(event.payload()).is_none() {
                say(&format!("wrong payload at {count}"));
            }
        }
    }
}

/// Reads everything in every way; errors are right, wrong answers are not.
async fn look(dir: &Path, seed: u64) -> Result<(), Stopped> {
    let store = Store::open_with(dir, options(seed)).map_err(|error| {
        say(&format!("failed to open: {error:?}"));
        Stopped
    })?;
    say("open");
    let read = read_all(&store).await;
    say(&format!("looked {}", read.as_ref().map_or_else(ToString::to_string, |count| format!("{count} events"))));
    let mut versions: HashMap<String, u64> = HashMap::new();
    let mut query = store.read(Read::query(Query::category("crash"), Position::ZERO)).await.ok();
    while let Some(read) = &mut query {
        match read.next().await {
            Ok(events) if events.is_empty() => break,
            Ok(events) => {
                for event in &events {
                    let version = versions.entry(event.stream().to_owned()).or_default();
                    *version += 1;
                    if event.version.get() != *version || whose(event.payload()).is_none() {
                        say(&format!("wrong event at {} by a query", event.position));
                    }
                }
            }
            Err(error) => {
                say(&format!("looked {error}"));
                break;
            }
        }
    }
    close(&store).await
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<u64>().ok());
    let (Some(root), Some(life), Some(seed), Some(numbers)) = (arguments.first(), number(1), number(2), number(3))
    else {
        say("usage: fault_driver <root> <life> <seed> <numbers> [look] [cut]");
        return ExitCode::from(2);
    };
    let wants = |what: &str| arguments.iter().any(|word| word == what);
    let life = Life { root: PathBuf::from(root), number: life, seed };
    let looked = if wants("look") { look(&life.store_dir(), seed).await } else { Ok(()) };
    let ended = match looked {
        Ok(()) => life.run(numbers).await,
        Err(Stopped) => Err(Stopped),
    };
    if wants("cut") {
        let _ = std::fs::File::open(life.root.join("power-cut"));
    }
    say("end");
    // As a process ends that was not told to close anything.
    std::process::exit(i32::from(ended.is_err()))
}
