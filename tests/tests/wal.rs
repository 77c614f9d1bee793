//! Damage to the write-ahead log. A process is killed, its files are damaged in every way, and the store is opened: it either says that
//! something is missing, or has everything that is known to have been synced. What cannot be known is the last
//! append: nothing behind it says that it was synced.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use annalist_core::{
    Append, EventId, EventStore as _, EventType, Expected, NewEvent, Position, Read, StoreError, StreamId,
};
use annalist_store::{OpenError, Store, StoreOptions};
use tempfile::TempDir;
use tests::subjects::copy_folder;

/// Small files, so that the log goes through several.
const RECYCLING: &str = r#"{"memtable_bytes": 262144, "index_chunk_events": 500}"#;
const EXTENDING: &str = r#"{"memtable_bytes": 262144, "index_chunk_events": 500, "recycle_wal_files": false}"#;
const UNSYNCED: &str = r#"{"memtable_bytes": 262144, "index_chunk_events": 500, "durability": "process-crash"}"#;

/// What a killed writer has left.
struct Image {
    dir: TempDir,
    options: StoreOptions,
    events: u64,
}

impl Image {
    /// Lets a process append `events` events, a few hundred to a file of the log, and kills it.
    fn new(options: &str, events: u64) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let image = Self { dir, options: serde_json::from_str(options).expect("options"), events: 0 };
        image.more(options, events)
    }

    /// Lets another process go on.
    fn more(mut self, options: &str, events: u64) -> Self {
        let (first, last) = (self.events + 1, self.events + events);
        let mut child = Command::new(env!("CARGO_BIN_EXE_wal_writer"))
            .args([self.path("").as_os_str(), first.to_string().as_ref(), last.to_string().as_ref(), options.as_ref()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the writer starts");
        let lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
        let said: Vec<String> = lines.map_while(Result::ok).take(2).collect();
        child.kill().expect("it can be killed");
        child.wait().expect("it is gone");
        assert_eq!(said, ["open", "done"]);
        self.events = last;
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("store").join(name)
    }

    /// The files of the write-ahead log, oldest first.
    fn files(&self) -> Vec<PathBuf> {
        let entries =
            fs::read_dir(self.path("log")).expect("the folder can be listed").flatten().map(|entry| entry.path());
        let mut files: Vec<PathBuf> =
            entries.filter(|path| path.extension().is_some_and(|kind| kind == "log")).collect();
        files.sort();
        files
    }

    /// The file that holds an event, and where its payload begins.
    fn place(&self, event: u64) -> (PathBuf, usize) {
        let wanted = format!("event {event:08}");
        let find = |file: &PathBuf| {
            let bytes = fs::read(file).expect("it can be read");
            bytes.windows(wanted.len()).rposition(|window| window == wanted.as_bytes())
        };
        let mut files = self.files();
        files.reverse();
        files.iter().find_map(|file| Some((file.clone(), find(file)?))).expect("the event is in the log")
    }

    /// Opens a copy in which a file was changed.
    async fn open_damaged(&self, file: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Outcome {
        let copy = tempfile::tempdir().expect("a temporary folder");
        copy_folder(&self.path(""), copy.path());
        let target = copy.path().join("log").join(file.file_name().expect("a name"));
        let original = fs::read(&target).expect("it can be read");
        let mut bytes = original.clone();
        change(&mut bytes);
        fs::write(&target, &bytes).expect("it can be written");
        match Store::open_with(copy.path(), self.options.clone()) {
            Ok(store) => Outcome::Opened(audit(store, self.events).await),
            Err(OpenError::Damaged(StoreError::Corrupt { position, detail })) => {
                assert!(position <= Position::new(self.events), "{detail}");
                assert_eq!(fs::read(&target).expect("it is still there"), bytes, "nothing was changed");
                fs::write(&target, original).expect("it can be written");
                let store = Store::open_with(copy.path(), self.options.clone()).expect("repaired, it opens");
                assert_eq!(audit(store, self.events).await, self.events, "with everything");
                Outcome::Refused
            }
            Err(error) => panic!("{}: {error:?}", file.display()),
        }
    }

    async fn open(&self) -> Outcome {
        let file = self.files().pop().expect("there is a log");
        self.open_damaged(&file, |_| {}).await
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It opened with events up to here, every one as it was.
    Opened(u64),
    /// It said that the log is damaged, and had everything once it was repaired.
    Refused,
}

/// Reads everything, appends one more, and returns how many events there were.
async fn audit(store: Store, events: u64) -> u64 {
    let mut read = store.read(Read::all(Position::ZERO)).await.expect("the log can be read");
    let mut next = 1;
    loop {
        let batch = read.next().await.expect("the log is sound");
        if batch.is_empty() {
            break;
        }
        for event in batch {
            assert_eq!(event.position, Position::new(next), "positions are dense");
            assert!(event.payload().starts_with(format!("event {next:08}").as_bytes()), "each event is itself");
            next += 1;
        }
    }
    let head = store.head().await.expect("the head is known").position;
    assert_eq!(head, Position::new(next - 1));
    assert!(next <= events + 1);
    let event = NewEvent::new(EventId::generate(), EventType::new("more").expect("a name"), "more");
    let append = Append::new().events(StreamId::new("more").expect("a name"), Expected::NoStream, [event]);
    store.append(append).await.expect("it takes more");
    store.close().await.expect("it closes");
    next - 1
}

#[tokio::test]
async fn a_flipped_bit_anywhere_is_found_or_costs_nothing_that_is_known_to_have_been_synced() {
    for (options, events) in [(RECYCLING, 2600), (EXTENDING, 1300)] {
        let image = Image::new(options, events);
        assert_eq!(image.open().await, Outcome::Opened(events));
        let recycled = options == RECYCLING;
        let (mut refused, mut opened) = (0, 0);
        for file in image.files() {
            let bytes = usize::try_from(fs::metadata(&file).expect("it is there").len()).expect("a small file");
            // Headers, payloads, ends of blocks; also what a recycled file held before.
            for at in (0..bytes)
                .step_by((bytes / 30).max(1) | 1)
                .chain([4, 5, 6, 7, 32_767, 32_768, 32_774].into_iter().filter(|at| *at < bytes))
            {
                match image.open_damaged(&file, |bytes| bytes[at] ^= 1 << (at % 8)).await {
                    Outcome::Refused => refused += 1,
                    Outcome::Opened(head) => {
                        assert!(head + 1 >= events, "{} byte {at}: {head} of {events}", file.display());
                        opened += 1;
                    }
                }
            }
        }
        assert!(refused > 10 && (opened > 10 || !recycled), "{refused} refused, {opened} opened: both were tried");
    }
}

#[tokio::test]
async fn the_files_are_recycled() {
    // How full the last file is depends on how RocksDB counts.
    let mut remains = false;
    for events in [2600, 2680, 2760] {
        let image = Image::new(RECYCLING, events);
        let last = image.files().pop().expect("there is a log");
        let bytes = fs::read(&last).expect("it can be read");
        // The header of a record for recycled files carries the file's number.
        let number = last.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok());
        assert_eq!(bytes[7..11], number.expect("a number").to_le_bytes());
        let text = String::from_utf8_lossy(&bytes);
        let numbers: Vec<u64> = text.split("event ").skip(1).filter_map(|rest| rest.get(..8)?.parse().ok()).collect();
        remains |= !numbers.is_sorted();
    }
    assert!(remains, "behind the end of a file stands what it held before");
}

#[tokio::test]
async fn a_torn_end_opens_with_what_came_before() {
    for options in [RECYCLING, EXTENDING] {
        let image = Image::new(options, 2100);
        let (file, at) = image.place(2100);
        for cut in [0, 1, 7, 20] {
            assert_eq!(image.open_damaged(&file, |bytes| bytes.truncate(at + cut)).await, Outcome::Opened(2099));
            assert_eq!(image.open_damaged(&file, |bytes| bytes[at + cut..].fill(0)).await, Outcome::Opened(2099));
            let garbage = |bytes: &mut Vec<u8>| {
                bytes[at + cut..].iter_mut().zip(0_u32..).for_each(|(byte, n)| *byte = (n * 31 % 253) as u8);
            };
            assert_eq!(image.open_damaged(&file, garbage).await, Outcome::Opened(2099));
        }
        // The last append alone cannot be told from one that was under way.
        assert_eq!(image.open_damaged(&file, |bytes| bytes[at] ^= 1).await, Outcome::Opened(2099));
    }
}

#[tokio::test]
async fn an_append_that_a_later_one_says_was_synced_may_not_be_missing() {
    for options in [RECYCLING, EXTENDING] {
        let image = Image::new(options, 2100);
        for event in [2099, 2098, 2090] {
            let (file, at) = image.place(event);
            assert_eq!(image.open_damaged(&file, |bytes| bytes[at] ^= 1).await, Outcome::Refused, "event {event}");
            assert_eq!(image.open_damaged(&file, |bytes| bytes[at - 20..at + 20].fill(0)).await, Outcome::Refused);
        }
        let (file, at) = image.place(2090);
        // Cut off with everything behind it, nothing is left that could say so.
        assert_eq!(image.open_damaged(&file, |bytes| bytes.truncate(at)).await, Outcome::Opened(2089));
    }
}

#[tokio::test]
async fn without_syncs_a_good_record_behind_a_bad_one_proves_nothing() {
    let image = Image::new(UNSYNCED, 2100);
    for event in [2099, 2090] {
        let (file, at) = image.place(event);
        assert_eq!(image.open_damaged(&file, |bytes| bytes[at] ^= 1).await, Outcome::Opened(event - 1));
    }
}

#[tokio::test]
async fn what_a_clean_close_leaves_needs_no_write_ahead_log() {
    let image = Image::new(RECYCLING, 1000);
    let store = Store::open_with(image.path(""), image.options.clone()).expect("it opens");
    store.close().await.expect("it closes");
    for file in image.files() {
        assert_eq!(image.open_damaged(&file, |bytes| bytes.fill(0)).await, Outcome::Opened(1000));
        assert_eq!(
            image.open_damaged(&file, |bytes| bytes.iter_mut().step_by(100).for_each(|byte| *byte ^= 1)).await,
            Outcome::Opened(1000)
        );
    }
}

#[tokio::test]
async fn recycling_can_be_switched_on_and_off() {
    let image = Image::new(EXTENDING, 700).more(RECYCLING, 700).more(EXTENDING, 700).more(RECYCLING, 700);
    assert_eq!(image.open().await, Outcome::Opened(2800));
    let (file, at) = image.place(2799);
    assert_eq!(image.open_damaged(&file, |bytes| bytes[at] ^= 1).await, Outcome::Refused);
}
