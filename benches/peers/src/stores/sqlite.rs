//! `SQLite` as a good user writes it: write-ahead log, `synchronous=FULL`, prepared statements, one writer thread that takes
//! everything that waits into one transaction, one connection for each reader thread.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
};

use benches::Failure;
use rusqlite::{Connection, OpenFlags, params};
use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_blocking,
};

use crate::{
    batch::Batch,
    peer::{Peer, Seen},
};

/// Appends that may wait, and appends of one transaction.
const QUEUE: usize = 4096;
const GROUP_MAX: usize = 2048;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS events (
        position INTEGER PRIMARY KEY,
        stream TEXT NOT NULL,
        version INTEGER NOT NULL,
        type TEXT NOT NULL,
        id BLOB NOT NULL,
        payload BLOB NOT NULL,
        UNIQUE (stream, version)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS tags (
        tag TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (tag, position)
    ) STRICT, WITHOUT ROWID;";

const INSERT: &str = "INSERT INTO events (stream, version, type, id, payload) VALUES (?1, ?2, ?3, ?4, ?5)";
const INSERT_TAG: &str = "INSERT INTO tags (tag, position) VALUES (?1, ?2)";
const HAS_TAG: &str = "SELECT EXISTS (SELECT 1 FROM tags WHERE tag = ?1)";
const BY_TAG: &str = "SELECT position, stream, version, type, id, payload FROM tags JOIN events USING (position)
    WHERE tag = ?1 ORDER BY position";
const BY_STREAM: &str =
    "SELECT position, stream, version, type, id, payload FROM events WHERE stream = ?1 ORDER BY version";
const ALL: &str = "SELECT position, stream, version, type, id, payload FROM events ORDER BY position";

type Answer = Result<(), String>;
type Call = (Batch, oneshot::Sender<Answer>);

/// `SQLite`.
#[derive(Debug)]
pub(crate) struct Sqlite {
    path: PathBuf,
    calls: mpsc::Sender<Call>,
    writer: thread::JoinHandle<Result<(), Failure>>,
}

impl Peer for Sqlite {
    async fn open(folder: &Path) -> Result<Self, Failure> {
        let (path, connection) = open(folder)?;
        let (calls, to_writer) = mpsc::channel(QUEUE);
        let writer =
            thread::Builder::new().name("sqlite-writer".to_owned()).spawn(move || write(&connection, to_writer))?;
        Ok(Self { path, calls, writer })
    }

    async fn append(&self, batch: Batch) -> Result<(), Failure> {
        let (answer, answered) = oneshot::channel();
        self.calls.send((batch, answer)).await.map_err(|_| "the writer has stopped")?;
        Ok(answered.await??)
    }

    /// On the caller's thread, as the other stores that read so.
    async fn read_tag(&self, tag: &str) -> Result<Seen, Failure> {
        read(&self.path, BY_TAG, Some(tag))
    }

    async fn read_stream(&self, stream: &str) -> Result<Seen, Failure> {
        read(&self.path, BY_STREAM, Some(stream))
    }

    async fn replay(&self) -> Result<Seen, Failure> {
        let path = self.path.clone();
        spawn_blocking(move || read(&path, ALL, None)).await?
    }

    fn process(&self) -> u32 {
        std::process::id()
    }

    async fn close(self) -> Result<(), Failure> {
        drop(self.calls);
        spawn_blocking(move || self.writer.join()).await?.map_err(|_| "the writer panicked")?
    }
}

/// `SQLite` without the writer thread: each append is a transaction on its caller's thread. For a lone writer.
#[derive(Debug)]
pub(crate) struct SqliteDirect(PathBuf, Mutex<Connection>);

impl Peer for SqliteDirect {
    async fn open(folder: &Path) -> Result<Self, Failure> {
        let (path, connection) = open(folder)?;
        Ok(Self(path, Mutex::new(connection)))
    }

    async fn append(&self, batch: Batch) -> Result<(), Failure> {
        let connection = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.unchecked_transaction()?;
        insert(&transaction, batch)?;
        Ok(transaction.commit()?)
    }

    async fn read_tag(&self, tag: &str) -> Result<Seen, Failure> {
        read(&self.0, BY_TAG, Some(tag))
    }

    async fn read_stream(&self, stream: &str) -> Result<Seen, Failure> {
        read(&self.0, BY_STREAM, Some(stream))
    }

    async fn replay(&self) -> Result<Seen, Failure> {
        read(&self.0, ALL, None)
    }

    fn process(&self) -> u32 {
        std::process::id()
    }

    async fn close(self) -> Result<(), Failure> {
        Ok(())
    }
}

fn open(folder: &Path) -> Result<(PathBuf, Connection), Failure> {
    let path = folder.join("events.sqlite");
    let connection = Connection::open(&path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute_batch(SCHEMA)?;
    Ok((path, connection))
}

/// The writer thread: everything that waits becomes one transaction.
fn write(connection: &Connection, mut calls: mpsc::Receiver<Call>) -> Result<(), Failure> {
    while let Some(first) = calls.blocking_recv() {
        let mut answers = Vec::new();
        let transaction = connection.unchecked_transaction()?;
        let mut next = Some(first);
        while let Some((batch, answer)) = next {
            answers.push((answer, insert(&transaction, batch).map_err(|error| error.to_string())));
            next = if answers.len() < GROUP_MAX { calls.try_recv().ok() } else { None };
        }
        transaction.commit()?;
        for (answer, outcome) in answers {
            // Who does not wait any more needs no answer.
            let _ = answer.send(outcome);
        }
    }
    Ok(())
}

/// One append. The first statement of it fails if it conflicts, so nothing of it need be taken back.
fn insert(connection: &Connection, batch: Batch) -> Result<(), Failure> {
    let batch = batch.keys_as_tags();
    if let Some(tag) = batch.new_tag()
        && connection.prepare_cached(HAS_TAG)?.query_row([tag], |row| row.get::<_, bool>(0))?
    {
        return Err(format!("an event has the tag {tag}").into());
    }
    let mut insert = connection.prepare_cached(INSERT)?;
    let mut insert_tag = connection.prepare_cached(INSERT_TAG)?;
    for item in batch.items {
        let (kind, id) = (item.event.event_type.name(), item.event.id.uuid());
        let position =
            insert.insert(params![item.stream, item.version, kind, id.as_bytes(), item.event.payload.as_ref()])?;
        for tag in &item.tags {
            insert_tag.execute(params![tag, position])?;
        }
    }
    Ok(())
}

thread_local! {
    /// One store is open in a process, so one connection on each thread that reads is enough.
    static READER: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

fn read(path: &Path, query: &str, parameter: Option<&str>) -> Result<Seen, Failure> {
    READER.with_borrow_mut(|reader| {
        let reader = match reader {
            Some(reader) => reader,
            None => reader.insert(Connection::open_with_flags(
                path,
                OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            )?),
        };
        let mut statement = reader.prepare_cached(query)?;
        let mut rows = statement.query(rusqlite::params_from_iter(parameter))?;
        let mut seen = Seen::default();
        while let Some(row) = rows.next()? {
            let (position, version): (u64, u64) = (row.get(0)?, row.get(2)?);
            let names = [row.get_ref(1)?.as_str()?, row.get_ref(3)?.as_str()?];
            seen.look(position + version, names, row.get_ref(5)?.as_blob()?);
        }
        Ok(seen)
    })
}
