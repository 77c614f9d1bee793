//! One wrong bit in every kind of bytes of every kind of file that a store, a view and a backup leave. Whatever it hits, nothing that is
//! read is ever something else: the damage is refused with a reason, or found with its place while the rest is read, or does
//! not matter.

#![expect(clippy::print_stdout, reason = "what became of which bits is worth knowing")]

use std::{
    collections::BTreeMap,
    fs,
    ops::{ControlFlow, Range},
    path::{Path, PathBuf},
};

use annalist_core::{
    Append, EventId, EventStore as _, EventType, Expected, Fingerprint, Key, NewEvent, Position, Query, Read,
    RecordedEvent, StoreError, StreamId, Tag, Version,
};
use annalist_store::{
    BackupError, BackupOptions, Backups, KeyValue, KeyValueBatch, OpenError, RestoreOptions, Store, StoreOptions,
};
use tests::{
    faults::Random,
    subjects::{copy_folder, in_ram},
};

/// Bits that are tried in each class of bytes of each file.
const TRIES: usize = 1;
const EVENTS: u64 = 240;
/// More than a page holds here.
const PAGE_EVENTS_MAX: u64 = 8;
/// The last bytes of a table say where everything else is (RocksDB, `table/format.h`).
const FOOTER_BYTES: usize = 53;
/// About what index, properties and their index take at the end of the tables here.
const TABLE_ENDS_BYTES: usize = 2048;

fn options() -> StoreOptions {
    let mut options = StoreOptions::default();
    options.index_chunk_events = 50;
    options.memtable_bytes = 64 * 1024;
    options.page_bytes = 2048;
    options
}

/// What became of a wrong bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// Everything is as it was.
    Harmless,
    /// Something cannot be read and is reported with its place; the rest is as it was.
    Found,
    /// It does not open, and says why.
    Refused,
    /// The last append of a store that was killed is not there: it looks as if it had never been written whole, and nothing
    /// behind it says that it was.
    TornEnd,
}

/// A store, a view and backups, all closed; and the store as a process leaves it that was killed.
struct Image {
    dir: PathBuf,
    events: Vec<RecordedEvent>,
}

fn append(number: u64) -> Append {
    let mut random = Random::new(number);
    let event = |part: u64| {
        let id = EventId::generate();
        let kind = EventType::new(format!("kind-{}", part % 3)).expect("a name");
        let bytes: Vec<u8> = (0..300 + random.below(400)).map(|_| random.any().to_le_bytes()[0]).collect();
        NewEvent::new(id, kind, bytes).with_tags([Tag::new(format!("tag:{}", number % 5)).expect("a name")])
    };
    let events: Vec<NewEvent> = [2 * number, 2 * number + 1].map(event).into();
    let stream = StreamId::of("thing", number % 7).expect("a name");
    let key = Key::new("flips", number.to_string()).expect("a name");
    Append::new().events(stream, Expected::Any, events).keyed(key, Fingerprint::new([7; 16]), Vec::new())
}

impl Image {
    async fn new(dir: &Path) -> Self {
        let store = Store::open_with(dir.join("store"), options()).expect("it opens");
        for number in 0..EVENTS / 4 {
            store.append(append(number)).await.expect("it is recorded");
        }
        store.backup(dir.join("backups"), BackupOptions::default(), |_| {}).await.expect("a backup is made");
        for number in EVENTS / 4..EVENTS / 2 {
            store.append(append(number)).await.expect("it is recorded");
        }
        store.backup(dir.join("backups"), BackupOptions::default(), |_| {}).await.expect("a backup is made");
        for number in EVENTS / 2..EVENTS / 2 + 10 {
            store.append(append(number)).await.expect("it is recorded");
        }
        // Nothing is written meanwhile, so this is what a kill would leave.
        copy_folder(&dir.join("store"), &dir.join("killed"));
        let events = read_all(&store).await.expect("it is readable");
        store.close().await.expect("it closes");
        let view = KeyValue::open(dir.join("view")).expect("it opens");
        for event in &events {
            let mut batch = KeyValueBatch::new();
            batch.put(event.id.uuid().as_bytes(), event.payload());
            view.write(batch).expect("it is written");
        }
        view.close().expect("it closes");
        Self { dir: dir.to_owned(), events }
    }

    /// What a store becomes, and whether all that it says is true.
    async fn look_at_store(&self, dir: &Path, was_killed: bool) -> Result<Outcome, String> {
        let store = match Store::open_with(dir, options()) {
            Ok(store) => store,
            Err(error @ (OpenError::Damaged(_) | OpenError::NotAStore { .. } | OpenError::Engine { .. })) => {
                let reason = format!("{error} {:?}", std::error::Error::source(&error).map(ToString::to_string));
                return if reason.len() > 20 { Ok(Outcome::Refused) } else { Err(format!("no reason: {reason}")) };
            }
            Err(error) => return Err(format!("it does not open: {error:?}")),
        };
        let head = store.head().await.map_err(|error| format!("{error:?}"))?.position.get();
        let torn = self.events.len() as u64 - head;
        if torn != 0 && !(torn == 2 && was_killed) {
            return Err(format!("it ends at {head}"));
        }
        let mut unreadable = Vec::new();
        for (number, event) in (0..head).zip(&self.events) {
            match read(&store, Read::all(Position::new(number)).limit(1)).await {
                Ok(found) if found.len() == 1 && found.first() == Some(event) => {}
                Ok(found) => return Err(format!("{number} reads as {found:?}")),
                Err(StoreError::Corrupt { .. }) => unreadable.push(number + 1),
                Err(error) => return Err(format!("{number} cannot be read: {error:?}")),
            }
        }
        self.look_through_index(&store, head).await?;
        let verified = store.verify(Position::ZERO, |_| ControlFlow::Continue(())).await;
        let verified = verified.map_err(|error| format!("it cannot be verified: {error:?}"))?;
        let first = verified.findings.first().map(|finding| finding.position.get());
        let _ = store.close().await;
        match (unreadable.first(), first) {
            (None, None) => Ok(if torn > 0 { Outcome::TornEnd } else { Outcome::Harmless }),
            (None, Some(_)) => Ok(Outcome::Found),
            (Some(_), None) => Err(format!("{unreadable:?} cannot be read, and verifying finds nothing")),
            (Some(wrong), Some(found)) if unreadable.len() < self.events.len() / 2 => {
                // RocksDB looks into the block behind the one that it is to find: the page before damage may be lost with it.
                if found <= *wrong + PAGE_EVENTS_MAX {
                    Ok(Outcome::Found)
                } else {
                    Err(format!("{wrong} is wrong, {found} is found"))
                }
            }
            (Some(_), Some(_)) => Err(format!("only a bit is wrong, and {} events are gone", unreadable.len())),
        }
    }

    /// What queries, streams and keys say is true, or an error.
    async fn look_through_index(&self, store: &Store, head: u64) -> Result<(), String> {
        let events = || self.events.iter().filter(|event| event.position.get() <= head);
        let right = |found: Result<Vec<RecordedEvent>, StoreError>, what: &str, wanted: Vec<&RecordedEvent>| match found
        {
            Ok(found) if found.iter().eq(wanted) => Ok(()),
            Err(StoreError::Corrupt { .. }) => Ok(()),
            other => Err(format!("{what}: {other:?}")),
        };
        for number in 0..7 {
            let stream = StreamId::of("thing", number).expect("a name");
            let wanted = events().filter(|event| event.stream() == stream.as_str()).collect();
            right(read(store, Read::stream(stream, Version::ZERO)).await, "a stream", wanted)?;
        }
        for number in 0..5 {
            let tag = format!("tag:{number}");
            let wanted = events().filter(|event| event.tags().any(|other| other == tag)).collect();
            let query = Query::tags([Tag::new(tag.as_str()).expect("a name")]);
            right(read(store, Read::query(query, Position::ZERO)).await, "a query", wanted)?;
        }
        for number in 0..head / 2 {
            let key = Key::new("flips", number.to_string()).expect("a name");
            match store.outcome(&key).await {
                Ok(Some(outcome)) if outcome.appended.cursor.position.get() == 2 * number + 2 => {}
                Err(StoreError::Corrupt { .. }) => {}
                other => return Err(format!("the key {number}: {other:?}")),
            }
        }
        Ok(())
    }

    fn look_at_view(&self, dir: &Path) -> Result<Outcome, String> {
        let view = match KeyValue::open(dir) {
            Ok(view) => view,
            Err(OpenError::Damaged(_) | OpenError::Engine { .. }) => return Ok(Outcome::Refused),
            Err(error) => return Err(format!("it does not open: {error:?}")),
        };
        let mut outcome = Outcome::Harmless;
        for event in &self.events {
            match view.get(event.id.uuid().as_bytes()) {
                Ok(Some(value)) if value == event.payload() => {}
                Err(StoreError::Corrupt { .. } | StoreError::Unavailable { .. }) => outcome = Outcome::Found,
                other => return Err(format!("the row of {}: {other:?}", event.position)),
            }
        }
        let _ = view.close();
        Ok(outcome)
    }

    /// The backups of a folder: what verifying does not find damaged can be restored, and is the beginning of the log.
    async fn look_at_backups(&self, dir: &Path) -> Result<Outcome, String> {
        let backups = Backups::of(dir);
        let mut outcome = Outcome::Harmless;
        for (number, listed) in (1..).zip(backups.list().map_err(|error| format!("{error:?}"))?) {
            let damaged = match (listed, backups.verify(Some(number), |_| {})) {
                (Ok(_), Ok(damaged)) => !damaged.is_empty(),
                (Err(_), Err(BackupError::Damaged(_))) => true,
                (listed, verified) => return Err(format!("{listed:?}, {verified:?}")),
            };
            let target = dir.with_extension("restored");
            let mut settings = RestoreOptions::default();
            settings.store = options();
            match (backups.restore(Some(number), &target, settings, |_| {}), damaged) {
                (Err(BackupError::Damaged(_)), true) => outcome = Outcome::Found,
                (Ok(_), false) => {
                    let store = Store::open_with(&target, options()).map_err(|error| format!("{error:?}"))?;
                    let found = read_all(&store).await.map_err(|error| format!("{error:?}"))?;
                    let _ = store.close().await;
                    if found.is_empty() || !found.iter().eq(self.events.iter().take(found.len())) {
                        return Err(format!("backup {number} becomes something else"));
                    }
                }
                (restored, _) => return Err(format!("damaged: {damaged}, restored: {restored:?}")),
            }
            let _ = fs::remove_dir_all(&target);
        }
        Ok(outcome)
    }
}

async fn read(store: &Store, read: Read) -> Result<Vec<RecordedEvent>, StoreError> {
    let mut read = store.read(read).await?;
    let mut events = Vec::new();
    loop {
        let batch = read.next().await?;
        if batch.is_empty() {
            return Ok(events);
        }
        events.extend(batch);
    }
}

async fn read_all(store: &Store) -> Result<Vec<RecordedEvent>, StoreError> {
    read(store, Read::all(Position::ZERO)).await
}

/// All files below a folder, but those that only say something to people or to the lock.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("it can be listed").flatten() {
        let (path, name) = (entry.path(), entry.file_name().into_string().expect("a plain name"));
        if path.is_dir() {
            found.extend(files(&path));
        } else if !name.starts_with("LOG") && name != "LOCK" {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// What kind of file it is, with the folder that it is in.
fn kind_of(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let kind = match name.rsplit_once('.') {
        Some((_, kind)) => format!("*.{kind}"),
        None => name.split('-').next().unwrap_or_default().to_owned(),
    };
    let folder = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let folder = if folder.starts_with("0000") { "backup".into() } else { folder };
    format!("{folder}/{kind}")
}

/// The classes of bytes of a file, and where they are.
fn classes(kind: &str, bytes: &[u8]) -> Vec<(&'static str, Range<usize>)> {
    // A write-ahead log is longer than what was written to it.
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if kind.rsplit('.').next() == Some("sst") && end > 4 * TABLE_ENDS_BYTES {
        // Where exactly the blocks behind the data begin depends on the table; what lies between is left out.
        return vec![
            ("data", 0..end - 2 * TABLE_ENDS_BYTES),
            ("metadata", end - TABLE_ENDS_BYTES..end - FOOTER_BYTES),
            ("footer", end - FOOTER_BYTES..end),
        ];
    }
    let third = end / 3;
    [("beginning", 0..third), ("middle", third..2 * third), ("end", 2 * third..end)]
        .into_iter()
        .filter(|(_, range)| !range.is_empty())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_bit_is_never_a_wrong_answer() {
    let temporary = in_ram();
    let image = Image::new(temporary.path()).await;
    let tries = std::env::var("ANNALIST_FLIPS").ok().and_then(|tries| tries.parse().ok()).unwrap_or(TRIES);
    let mut random = Random::new(1);
    let mut seen: BTreeMap<(String, &str), BTreeMap<Outcome, usize>> = BTreeMap::new();
    for part in ["store", "killed", "view", "backups"] {
        let folder = image.dir.join(part);
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for file in files(&folder) {
            let kind = kind_of(&file);
            // What a kill leaves beside the write-ahead log, a closed store has too.
            let times = kinds.entry(kind.clone()).or_default();
            *times += 1;
            let is_wal = kind.rsplit('.').next() == Some("log");
            if !is_wal && (*times > 2 || part == "killed") {
                continue;
            }
            let original = fs::read(&file).expect("it can be read");
            for (class, range) in classes(&kind, &original) {
                for _ in 0..tries {
                    let at = range.start + usize::try_from(random.below(range.len() as u64)).expect("it is small");
                    let bit = random.below(8);
                    let copy = image.dir.join("copy");
                    copy_folder(&folder, &copy);
                    let mut bytes = original.clone();
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << bit;
                    }
                    fs::write(copy.join(file.strip_prefix(&folder).expect("it is in it")), bytes)
                        .expect("it is written");
                    let outcome = match part {
                        "view" => image.look_at_view(&copy),
                        "backups" => image.look_at_backups(&copy).await,
                        _ => image.look_at_store(&copy, part == "killed").await,
                    };
                    let outcome = outcome.unwrap_or_else(|problem| {
                        panic!("bit {bit} of byte {at} of {} ({class}), {part}: {problem}", file.display())
                    });
                    *seen.entry((format!("{part}: {kind}"), class)).or_default().entry(outcome).or_default() += 1;
                    fs::remove_dir_all(&copy).expect("it can be removed");
                }
            }
        }
    }
    for ((kind, class), outcomes) in &seen {
        println!("{kind:30} {class:12} {outcomes:?}");
    }
    let found = |kind: &str, class: &str| seen.get(&(kind.to_owned(), class)).cloned().unwrap_or_default();
    let always = |outcome, kind: &str, class: &str| {
        let found = found(kind, class);
        assert!(found.len() == 1 && found.contains_key(&outcome), "{kind}, {class}: {found:?}");
    };
    always(Outcome::Found, "store: log/*.sst", "data");
    always(Outcome::Found, "backups: files/*.sst", "data");
    always(Outcome::Found, "backups: backup/BACKUP", "middle");
    always(Outcome::Refused, "store: store/STORE", "middle");
}
