//! A disk that fills up and is emptied again, on a small file system of its own: a `tmpfs`, which only root may mount.

use std::{
    fs,
    io::Write as _,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::Command,
};

use annalist_core::{
    Append, AppendError, Checkpoints, ContentType, EventId, EventStore as _, EventType, Expected, NewEvent, Position,
    Read, StreamId,
};
use annalist_store::{Health, Store, StoreOptions};
use tempfile::TempDir;

const MIB: u64 = 1024 * 1024;
const DISK: u64 = 96 * MIB;
const RESERVE: u64 = 32 * MIB;
const BALLAST: u64 = 24 * MIB;

/// A small disk; gone when dropped.
struct Disk(PathBuf, TempDir);

impl Disk {
    /// `None`, with the reason on the standard error, where none can be mounted.
    #[expect(clippy::print_stderr, reason = "who reads the log must see that this was not tested")]
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().join("disk");
        fs::create_dir(&dir).expect("it can be made");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={DISK}"), "none"]).arg(&dir).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(dir, folder)),
            why => {
                eprintln!("NOT TESTED: a full disk needs a small file system, and none can be mounted: {why:?}");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        debug_assert!(self.0.starts_with(self.1.path()), "it is mounted in its folder");
        &self.0
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn options() -> StoreOptions {
    let mut options = StoreOptions::default();
    options.memtable_bytes = 2 * 1024 * 1024;
    options.disk_reserve_bytes = RESERVE;
    options
}

async fn append(store: &Store) -> Result<(), AppendError> {
    // A payload that does not become smaller.
    let payload: Vec<u8> =
        (0..16_384_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let event = NewEvent::new(EventId::generate(), EventType::new("filled").expect("a type"), payload);
    let event = event.with_content_type(ContentType::BYTES);
    let stream = StreamId::new("disk-1").expect("a stream");
    store.append(Append::new().events(stream, Expected::Any, [event])).await.map(|_| ())
}

async fn fill(store: &Store) -> (u64, AppendError) {
    for count in 0..10_000 {
        if let Err(error) = append(store).await {
            return (count, error);
        }
    }
    panic!("ten thousand events fit on a disk that is too small for them");
}

async fn count(store: &Store) -> u64 {
    let mut batches = store.read(Read::all(Position::ZERO)).await.expect("a read begins");
    let mut events = 0;
    loop {
        match batches.next().await.expect("events are read").len() {
            0 => return events,
            some => events += some as u64,
        }
    }
}

#[tokio::test]
async fn a_full_disk_makes_the_store_read_only_until_there_is_room() {
    let Some(disk) = Disk::mount() else { return };
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![1; usize::try_from(BALLAST).expect("it fits")]).expect("there is room");
    let dir = disk.path().join("data");
    let store = Store::open_with(&dir, options()).expect("the store opens");
    let (before, refusal) = fill(&store).await;
    assert!(before > 50, "{before}");
    assert!(refusal.is_retryable() && refusal.to_string().contains("is full"), "{refusal}");
    let Health::ReadOnly { why, .. } = store.health() else { panic!("{:?}", store.health()) };
    assert!(why.contains("is full"), "{why}");
    assert_eq!(count(&store).await, before, "what was acknowledged is read");
    Checkpoints::save(&store, "consumer", b"far".to_vec().into()).await.expect("consumers go on");

    fs::remove_file(&ballast).expect("it is there");
    let mut again = append(&store).await;
    while matches!(&again, Err(AppendError::Unavailable { .. })) {
        tokio::task::yield_now().await;
        again = append(&store).await;
    }
    again.expect("appends go on, and nothing was opened again");
    assert_eq!(store.health(), Health::Healthy);
    let (more, refusal) = fill(&store).await;
    assert!(more > 50 && refusal.is_retryable(), "{more}, {refusal}");
    store.close().await.expect("it closes on a full disk");

    // It opens on a disk that something else has filled, too.
    let (mut file, mebibyte) = (fs::File::create(&ballast).expect("it can be made"), vec![1; 1024 * 1024]);
    while file.write_all(&mebibyte).is_ok() {}
    let filled = file.metadata().expect("it is there").len();
    file.set_len(filled.saturating_sub(RESERVE / 2)).expect("it can be made shorter");
    let store = Store::open_with(&dir, options()).expect("it opens again");
    assert_eq!(count(&store).await, before + 1 + more);
    let verified = store.verify(Position::ZERO, |_| ControlFlow::Continue(())).await.expect("it is verified");
    assert!(verified.is_sound(), "{verified:?}");
    assert!(matches!(append(&store).await, Err(AppendError::Unavailable { .. })), "it is still full");
    store.close().await.expect("it closes");
}
