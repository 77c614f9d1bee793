//! What all parts of an open store share.

mod pages;
mod recent;

use std::sync::{Arc, atomic::Ordering};

use annalist_core::{AppendError, Cursor, Position, StoreError};
use tempfile::TempDir;

use crate::{
    concurrency::{ArcSwap, AtomicU64, Condvar, Guard, Mutex, OnceLock, RwLock, task, watch},
    format::{Page, StoreFile, Totals},
    lock::Lock,
    metrics::StoreMetrics,
    options::StoreOptions,
    pace::Pace,
    rocks::{IndexDb, LogDb, ReadError, Tier},
    space::Space,
    tail::View,
};

use recent::Recent;

/// See the module. The watermark is the last durable position: no answer speaks of anything behind it.
pub(crate) struct Shared {
    pub(crate) identity: StoreFile,
    pub(crate) options: StoreOptions,
    pub(crate) log: LogDb,
    pub(crate) index: IndexDb,
    pub(crate) view: ArcSwap<View>,
    watermark: AtomicU64,
    announce: watch::Sender<Position>,
    recent: RwLock<Recent>,
    /// How the disk has answered lately.
    pub(crate) pace: Pace,
    pub(crate) metrics: StoreMetrics,
    /// What is free on the disk of the log.
    pub(crate) space: Space,
    poison: OnceLock<String>,
    /// Why a store that is followed cannot be followed any further.
    ended: OnceLock<StoreError>,
    index_failure: OnceLock<String>,
    /// Held while a backup is made.
    pub(crate) backing_up: Mutex<()>,
    /// Held for the moment of a change of the view; the condition says that the watermark or the view moved.
    moved: (Mutex<()>, Condvar),
    hold: Hold,
}

/// What keeps the folder as it is for this store, released last, when the databases are closed.
pub(crate) enum Hold {
    /// Nobody else may open it.
    Lock(Lock),
    /// Another process may have it open: it is followed, with a folder of our own for what RocksDB says.
    Scratch { _dir: TempDir },
}

impl Shared {
    pub(crate) fn new(
        identity: StoreFile,
        options: StoreOptions,
        log: LogDb,
        index: IndexDb,
        view: View,
        head: Position,
        hold: Hold,
    ) -> Self {
        let recent = Recent::behind(head, view.totals());
        let space = Space::of(log.dir().to_owned(), options.disk_reserve_bytes);
        Self {
            identity,
            options,
            space,
            log,
            index,
            view: ArcSwap::from_pointee(view),
            watermark: AtomicU64::new(head.get()),
            announce: watch::Sender::new(head),
            recent: RwLock::new(recent),
            pace: Pace::default(),
            metrics: StoreMetrics::new(),
            poison: OnceLock::new(),
            ended: OnceLock::new(),
            backing_up: Mutex::new(()),
            index_failure: OnceLock::new(),
            moved: (Mutex::new(()), Condvar::new()),
            hold,
        }
    }

    /// The last durable position.
    pub(crate) fn watermark(&self) -> Position {
        Position::new(self.watermark.load(Ordering::Acquire))
    }

    /// The watermark and a view that covers everything up to it.
    pub(crate) fn durable_view(&self) -> (Position, Guard<Arc<View>>) {
        // In this order: a view that is loaded later knows at least as much. It may even have been indexed further.
        let watermark = self.watermark();
        let view = self.view.load();
        (watermark.max(view.mark()), view)
    }

    pub(crate) fn cursor(&self, position: Position) -> Cursor {
        Cursor { store: self.identity.id, epoch: self.identity.epoch, position }
    }

    /// The same place in this log, of a cursor of an earlier epoch too if all that it has seen is still there.
    pub(crate) fn locate(&self, cursor: Cursor) -> Result<Cursor, StoreError> {
        let head = self.cursor(self.watermark());
        let position = self.identity.locate(&cursor, &head);
        position.map(|position| head.at(position)).ok_or(StoreError::ForeignCursor { cursor, head })
    }

    /// Publishes a durable group: its pages to the live subscribers, then the watermark; and to those who follow the store.
    pub(crate) fn publish(&self, pages: Vec<Page>, last: Position, totals: Totals) {
        let mut recent = self.recent.write();
        recent.add(pages, last, totals);
        // Before the lock goes: who reads the totals must not know more than the watermark says.
        self.watermark.store(last.get(), Ordering::Release);
        drop(recent);
        self.announce.send_replace(last);
        self.notify_moved();
        if let Hold::Lock(lock) = &self.hold {
            lock.note(last);
        }
    }

    /// A durable position, and what the log holds up to it.
    pub(crate) fn durable_totals(&self) -> (Position, Totals) {
        self.recent.read().totals()
    }

    /// Tells when the watermark moves; ends when the store closes.
    pub(crate) fn announcements(&self) -> watch::Receiver<Position> {
        self.announce.subscribe()
    }

    /// Why the store takes no more writes, if that is so.
    pub(crate) fn poisoned(&self) -> Option<AppendError> {
        self.poison.get().map(|reason| AppendError::Poisoned { reason: reason.clone() })
    }

    /// Stops all further writes. The first reason stays.
    pub(crate) fn poison(&self, reason: String) {
        tracing::error!(reason, "a write failed: the store takes no more appends until it is reopened");
        let _ = self.poison.set(reason);
        self.notify_moved();
    }

    /// Why the store cannot be followed any further, if that is so.
    pub(crate) fn ended(&self) -> Option<StoreError> {
        self.ended.get().cloned()
    }

    /// Has everybody who waits for more know that no more comes. The first reason stays.
    pub(crate) fn end(&self, why: StoreError) {
        tracing::warn!(%why, "the store cannot be followed any further");
        let _ = self.ended.set(why);
        self.announce.send_replace(self.watermark());
        self.notify_moved();
    }

    /// Why the index can no longer be written, if that is so.
    pub(crate) fn index_failure(&self) -> Option<&str> {
        self.index_failure.get().map(String::as_str)
    }

    pub(crate) fn fail_index(&self, reason: String) {
        tracing::error!(reason, "the index cannot be written: appends stop when the tail is full");
        let _ = self.index_failure.set(reason);
        self.notify_moved();
    }

    /// Replaces the view; changes by different threads do not overtake each other.
    pub(crate) fn change_view(&self, change: impl Fn(&View) -> View) {
        self.view.rcu(|view| change(view));
        self.notify_moved();
    }

    fn notify_moved(&self) {
        drop(self.moved.0.lock());
        self.moved.1.notify_all();
    }

    /// Blocks the calling thread until the condition holds; it is checked whenever watermark, view or failures change.
    pub(crate) fn wait_until(&self, condition: impl Fn(&Self) -> bool) {
        let mut guard = self.moved.0.lock();
        while !condition(self) {
            self.moved.1.wait(&mut guard);
        }
    }
}

/// Looks something up: in memory on the calling thread; if the disk is needed, there too while it is quick, otherwise on a thread
/// that may block.
pub(crate) async fn look_up<T: Send + 'static>(
    shared: &Arc<Shared>,
    find: impl Fn(&Shared, Tier) -> Result<T, ReadError> + Send + 'static,
) -> Result<T, StoreError> {
    let found = find(shared, Tier::Memory);
    if matches!(found, Err(ReadError::NotInMemory)) {
        shared.metrics.not_in_memory();
    }
    match found {
        Err(ReadError::NotInMemory) if shared.pace.is_quick() => {
            let (found, _) = shared.pace.observe(1, || find(shared, Tier::Disk));
            found.map_err(ReadError::into_store_error)
        }
        Err(ReadError::NotInMemory) => {
            let shared = Arc::clone(shared);
            blocking(move || find(&shared, Tier::Disk)).await
        }
        found => found.map_err(ReadError::into_store_error),
    }
}

/// Runs something that blocks where that does no harm.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, StoreError> {
    match task::spawn_blocking(work).await {
        Ok(done) => done.map_err(ReadError::into_store_error),
        Err(_) => Err(StoreError::Closed),
    }
}
