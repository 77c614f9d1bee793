//! `UmaDB`, embedded: its storage engine with the writer thread of its server, without the network.

use std::{path::Path, sync::Arc, thread};

use benches::Failure;
use rustc_hash::FxHashMap;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::spawn_blocking,
};
use umadb_core::{
    common::Position,
    db::read_conditional,
    mvcc::{Mvcc, StorageOptions},
    writer_thread_blocking::writer_thread_blocking,
    writer_thread_request::WriterThreadRequest,
};
use umadb_dcb::{DcbAppendCondition, DcbEvent, DcbQuery, DcbQueryItem, DcbSequencedEvent};

use crate::{
    batch::Batch,
    peer::{Peer, Seen},
};

/// Requests that may wait, and events of one commit: as in its server.
const QUEUE: usize = 1024;
const GROUP_EVENTS_MAX: usize = 2000;

/// Events of one batch of a replay: the most that its server sends at once.
const BATCH_EVENTS: u32 = 5000;

/// `UmaDB`. Its events have tags and no streams; a stream is a tag.
pub(crate) struct UmaDb {
    mvcc: Arc<Mvcc>,
    requests: mpsc::Sender<WriterThreadRequest>,
    writer: thread::JoinHandle<()>,
}

impl Peer for UmaDb {
    async fn open(folder: &Path) -> Result<Self, Failure> {
        let mvcc = Arc::new(Mvcc::new(false, StorageOptions::default().db_path(folder))?);
        let (requests, to_writer) = mpsc::channel(QUEUE);
        let (head, _) = watch::channel(None);
        let shared = Arc::clone(&mvcc);
        let writer = thread::Builder::new()
            .name("umadb-writer".to_owned())
            .spawn(move || writer_thread_blocking(shared, to_writer, head, GROUP_EVENTS_MAX))?;
        Ok(Self { mvcc, requests, writer })
    }

    async fn append(&self, batch: Batch) -> Result<(), Failure> {
        let batch = batch.keys_as_tags();
        let condition = batch.new_tag().map(|tag| DcbAppendCondition::new(by_tag(tag)));
        let (response_tx, response) = oneshot::channel();
        let request = WriterThreadRequest::Append {
            events: events(batch),
            condition,
            tracking_info: None,
            response_tx,
            cancel: None,
        };
        self.requests.send(request).await.map_err(|_| "the writer has stopped")?;
        response.await??;
        Ok(())
    }

    /// On the caller's thread: such a read is short.
    async fn read_tag(&self, tag: &str) -> Result<Seen, Failure> {
        let mut seen = Seen::default();
        look(&mut seen, &read(&self.mvcc, by_tag(tag), None, None)?);
        Ok(seen)
    }

    async fn read_stream(&self, stream: &str) -> Result<Seen, Failure> {
        self.read_tag(stream).await
    }

    async fn replay(&self) -> Result<Seen, Failure> {
        let mvcc = Arc::clone(&self.mvcc);
        let replayed = spawn_blocking(move || {
            let (mut seen, mut next) = (Seen::default(), None);
            loop {
                let events = read(&mvcc, DcbQuery::new(), next, Some(BATCH_EVENTS))?;
                let Some(last) = events.last() else { return Ok(seen) };
                next = Some(Position(last.position + 1));
                look(&mut seen, &events);
            }
        });
        replayed.await?
    }

    fn process(&self) -> u32 {
        std::process::id()
    }

    async fn close(self) -> Result<(), Failure> {
        drop(self.requests);
        spawn_blocking(move || self.writer.join()).await?.map_err(|_| "the writer panicked")?;
        Ok(())
    }
}

/// What is to be appended, as it takes it.
pub(crate) fn events(batch: Batch) -> Vec<DcbEvent> {
    let by_stream = batch.by_stream;
    let events = batch.items.into_iter().map(|item| DcbEvent {
        event_type: item.event.event_type.name().to_owned(),
        tags: item.all_tags(by_stream).map(str::to_owned).collect(),
        data: item.event.payload.to_vec(),
        uuid: Some(item.event.id.uuid()),
        metadata: Vec::new(),
    });
    events.collect()
}

pub(crate) fn by_tag(tag: &str) -> DcbQuery {
    DcbQuery::with_items([DcbQueryItem { types: Vec::new(), tags: vec![tag.to_owned()] }])
}

fn read(
    mvcc: &Mvcc,
    query: DcbQuery,
    start: Option<Position>,
    limit: Option<u32>,
) -> Result<Vec<DcbSequencedEvent>, Failure> {
    let reader = mvcc.reader()?;
    let (events, tags) = (reader.events_tree_root_id, reader.tags_tree_root_id);
    Ok(read_conditional(mvcc, &FxHashMap::default(), events, tags, query, start, false, limit, false, None)?)
}

pub(crate) fn look(seen: &mut Seen, events: &[DcbSequencedEvent]) {
    for DcbSequencedEvent { position, event, .. } in events {
        let names = event.tags.iter().map(String::as_str).chain([event.event_type.as_str()]);
        seen.look(*position, names, &event.data);
    }
}
