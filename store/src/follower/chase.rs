//! Keeping up with a store that another process writes.
//!
//! New pages come from the write-ahead log as it is written, or from the tables, whichever has them first. Each names the one before
//! it by its checksum, so what was misread, left out, or belongs to another log does not fit and is not taken. None is taken before
//! it is known to be durable: the note in `LOCK` says so, or a table holds it, or the index does.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use annalist_core::{Cursor, Direction, Position, StoreError};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use parking_lot::Mutex;

use super::identity;
use crate::{
    format::{Damage, Mark, Page},
    limits,
    lock::Note,
    replay::Replay,
    rocks::{IndexDb, ReadError, Tier},
    shared::Shared,
    wal::{Tail, Taken},
};

/// What hinders it at present; shared with who is asked how it is.
pub(super) type Hindrance = Arc<Mutex<Option<String>>>;

/// Why nothing new could be taken.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It may be over next time.
    Passing(String),
    /// It will not.
    Final(StoreError),
}

impl From<ReadError> for Trouble {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Engine(error) => error.into(),
            ReadError::Folder(error) => Self::Passing(error.to_string()),
            error => Self::Final(error.into_store_error()),
        }
    }
}

impl From<rocksdb::Error> for Trouble {
    fn from(error: rocksdb::Error) -> Self {
        use rocksdb::ErrorKind;
        match error.kind() {
            // Files come and go while they are looked at.
            ErrorKind::TryAgain | ErrorKind::IOError | ErrorKind::NotFound => Self::Passing(error.into_string()),
            _ => Self::Final(ReadError::Engine(error).into_store_error()),
        }
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        ReadError::from(error).into()
    }
}

/// See the module.
pub(super) struct Chase {
    shared: Arc<Shared>,
    dir: PathBuf,
    tail: Tail,
    replay: Replay,
    /// The end of the last page that was taken, and its checksum.
    last: Position,
    checksum: u32,
    /// Pages that were taken and not shown yet.
    taken: Vec<Page>,
    taken_bytes: usize,
    /// Up to here the log is known to be durable.
    durable: Position,
    tables_end: Position,
    /// When the tables were looked at, and whether anything was taken since.
    looked: Instant,
    moved: bool,
    /// Which opening of the store, and which index, this is about.
    opening: String,
    index: Option<String>,
}

impl Chase {
    /// Goes on behind this page.
    pub(super) fn behind(shared: Arc<Shared>, dir: &Path, replay: Replay, (last, checksum): (Position, u32)) -> Self {
        let index = IndexDb::identity(&dir.join("index"));
        let tail = Tail::of(dir.join("log"));
        let durable = replay.last();
        Self {
            shared,
            dir: dir.to_owned(),
            tail,
            replay,
            last,
            checksum,
            taken: Vec::new(),
            taken_bytes: 0,
            durable,
            tables_end: Position::ZERO,
            looked: Instant::now(),
            moved: true,
            opening: String::new(),
            index,
        }
    }

    /// Where it is, and up to where it knows that there is more.
    pub(super) fn progress(&self) -> (Position, Position) {
        (self.last, self.durable)
    }

    /// Keeps up until it is told to stop, or cannot any more.
    pub(super) fn run(mut self, interval: Duration, stop: &Receiver<()>, hindrance: &Hindrance) {
        while stop.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
            let now = match self.step() {
                Ok(()) => None,
                Err(Trouble::Passing(why)) => Some(why),
                Err(Trouble::Final(why)) => {
                    self.shared.end(why);
                    return;
                }
            };
            let mut before = hindrance.lock();
            if let Some(why) = now.as_ref().filter(|why| before.as_ref() != Some(*why)) {
                tracing::debug!(why, "nothing new can be taken at present");
            }
            *before = now;
        }
    }

    /// Takes what there is by now.
    pub(super) fn step(&mut self) -> Result<(), Trouble> {
        let note = Note::read(&self.dir);
        if note.opening != self.opening && !note.opening.is_empty() {
            self.check_identity(&note)?;
            self.opening = note.opening;
            self.moved = true;
        }
        self.durable = self.durable.max(note.durable.unwrap_or_default());
        self.read_tail()?;
        let interval = if self.moved { limits::TABLES_INTERVAL } else { limits::TABLES_INTERVAL_IDLE };
        // What was durable and cannot be found in the write-ahead log any more is in the tables.
        if self.durable > self.last || self.looked.elapsed() >= interval {
            (self.looked, self.moved) = (Instant::now(), false);
            self.read_index()?;
            self.read_tables()?;
            self.read_tail()?;
        }
        if self.durable > self.last && !self.has_room() {
            let why = "the store's index is too far behind its log; if that does not change, open the store again";
            return Err(Trouble::Passing(why.to_owned()));
        }
        Ok(())
    }

    /// Whether the folder is still that of the same log.
    fn check_identity(&self, note: &Note) -> Result<(), Trouble> {
        let found = identity(&self.dir).map_err(|error| Trouble::Passing(error.to_string()))?;
        let (store, epoch) = (found.id, found.epoch);
        if (store, epoch) == (self.shared.identity.id, self.shared.identity.epoch) {
            return Ok(());
        }
        let head = Cursor { store, epoch, position: note.durable.unwrap_or_default() };
        let cursor = self.shared.cursor(self.last);
        Err(Trouble::Final(StoreError::ForeignCursor { cursor, head }))
    }

    fn read_tail(&mut self) -> Result<(), Trouble> {
        if self.durable <= self.last {
            return Ok(());
        }
        // Taken out, since what is found changes everything else here.
        let mut tail = std::mem::replace(&mut self.tail, Tail::of(PathBuf::new()));
        let mut outcome = Ok(());
        let read = tail.read(|pages| {
            let (Some(first), Some(last)) = (pages.first(), pages.last()) else { return Taken::Yes };
            if last.last() <= self.last {
                return Taken::Yes;
            }
            let follows = first.first() == self.last.next() && first.previous_checksum() == self.checksum;
            if !follows || last.last() > self.durable || outcome.is_err() || !self.has_room() {
                return Taken::NotYet;
            }
            outcome = pages.into_iter().try_for_each(|page| self.take(page));
            self.show();
            Taken::Yes
        });
        self.tail = tail;
        outcome?;
        Ok(read?)
    }

    fn read_tables(&mut self) -> Result<(), Trouble> {
        let shared = Arc::clone(&self.shared);
        shared.log.catch_up()?;
        let Some(end) = shared.log.last_page()? else { return Ok(()) };
        if end.last() > self.tables_end {
            self.tables_end = end.last();
            shared.tables_end(end.last());
        }
        self.durable = self.durable.max(end.last());
        let mut outcome = Ok(());
        while self.last < end.last() && outcome.is_ok() && self.has_room() {
            let next = self.last.next();
            shared.log.pages_from(next, Direction::Forward, Tier::Disk, |page| {
                if page.last() < next {
                    return true;
                }
                outcome = self.take(page);
                outcome.is_ok() && !self.is_much()
            })?;
            self.show();
        }
        outcome
    }

    /// Lets the index answer for what it has by now.
    fn read_index(&mut self) -> Result<(), Trouble> {
        let dir = self.dir.join("index");
        self.check_index(&dir)?;
        self.shared.index.catch_up()?;
        self.check_index(&dir)?;
        let epoch = self.shared.identity.epoch;
        let Some(Mark { position, .. }) = self.shared.index.mark()?.filter(|mark| mark.epoch == epoch) else {
            return Ok(());
        };
        self.durable = self.durable.max(position);
        while self.shared.view.load().oldest_ends_at().is_some_and(|end| end <= position) {
            self.shared.change_view(crate::tail::View::without_oldest);
        }
        Ok(())
    }

    /// Whether the index is still the one that was opened.
    fn check_index(&self, dir: &Path) -> Result<(), Trouble> {
        match IndexDb::identity(dir) {
            None => Err(Trouble::Passing("its index is missing".to_owned())),
            found if found == self.index => Ok(()),
            Some(_) => {
                self.check_identity(&Note::read(&self.dir))?;
                let why = "its index was made anew; follow the store again".to_owned();
                Err(Trouble::Final(StoreError::Unavailable { why }))
            }
        }
    }

    /// Whether there is memory for what the index does not have yet.
    fn has_room(&self) -> bool {
        self.shared.view.load().byte_count() < limits::FOLLOWED_BYTES_MAX
    }

    /// Takes the page that comes next.
    fn take(&mut self, page: Page) -> Result<(), Trouble> {
        if page.first() != self.last.next() || page.previous_checksum() != self.checksum {
            // Another log may have been put in its place.
            self.check_identity(&Note::read(&self.dir))?;
            let detail = "a page does not follow the one before it: pages are missing or from another log";
            return Err(ReadError::from(Damage { position: page.first(), detail }).into());
        }
        // What the index had from the beginning is not looked up in memory.
        if page.last() > self.replay.last() {
            self.replay.add(&page)?;
            if self.replay.take_full(self.shared.options.index_chunk_events).is_some() {
                let live = self.replay.generation();
                self.shared.change_view(|view| view.with_live(Arc::clone(live)));
            }
        }
        (self.last, self.checksum, self.moved) = (page.last(), page.checksum(), true);
        self.taken_bytes += page.byte_count();
        self.taken.push(page);
        Ok(())
    }

    /// Whether what was taken is worth being shown.
    fn is_much(&self) -> bool {
        self.taken_bytes >= limits::BATCH_BYTES && self.replay.is_between_commits()
    }

    /// Shows what was taken, up to the end of a commit.
    fn show(&mut self) {
        if self.taken.is_empty() || !self.replay.is_between_commits() {
            return;
        }
        self.taken_bytes = 0;
        self.shared.publish(std::mem::take(&mut self.taken), self.last, self.replay.totals());
    }
}
