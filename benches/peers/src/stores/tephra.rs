//! Tephra, embedded, with its default options and the segment size of its documentation.

use std::path::Path;

use benches::Failure;
use tephra::{
    AppendCondition, Event, EventType, Position, Query, QueryItem, ReadHandle, SegmentConfig, SegmentSet, Tag, Tags,
    WriteCoordinator, WriteHandle, WriterConfig,
};
use tokio::task::spawn_blocking;

use crate::{
    batch::Batch,
    peer::{Peer, Seen},
};

const SEGMENT_BYTES: usize = 256 * 1024 * 1024;

/// Tephra. Its events have tags and no streams; a stream is a tag.
pub(crate) struct Tephra {
    coordinator: WriteCoordinator,
    handle: WriteHandle,
}

impl Peer for Tephra {
    async fn open(folder: &Path) -> Result<Self, Failure> {
        let segments = SegmentSet::open(folder, SegmentConfig::new(SEGMENT_BYTES))?;
        let (coordinator, handle) = WriteCoordinator::start(segments, WriterConfig::default())?;
        Ok(Self { coordinator, handle })
    }

    async fn append(&self, batch: Batch) -> Result<(), Failure> {
        let batch = batch.keys_as_tags();
        let condition = batch.new_tag().map(by_tag).transpose()?.map(AppendCondition::exists_only);
        let mut events = Vec::with_capacity(batch.items.len());
        for item in &batch.items {
            let tags = Tags::new(item.all_tags(batch.by_stream).map(Tag::new).collect::<Result<Vec<_>, _>>()?)?;
            let kind = EventType::new(item.event.event_type.name())?;
            events.push(Event::new(&kind, &tags, &item.event.payload)?);
        }
        self.handle.append_async(events, condition).await?;
        Ok(())
    }

    /// Selective reads run on the caller's thread: they are short, and Tephra's own pool costs a reader two hand-overs.
    async fn read_tag(&self, tag: &str) -> Result<Seen, Failure> {
        read(&self.handle.reader(), &by_tag(tag)?)
    }

    async fn read_stream(&self, stream: &str) -> Result<Seen, Failure> {
        self.read_tag(stream).await
    }

    async fn replay(&self) -> Result<Seen, Failure> {
        let reader = self.handle.reader();
        spawn_blocking(move || read(&reader, &Query::all())).await?
    }

    fn process(&self) -> u32 {
        std::process::id()
    }

    async fn close(self) -> Result<(), Failure> {
        drop(self.handle);
        spawn_blocking(move || drop(self.coordinator.shutdown())).await?;
        Ok(())
    }
}

pub(crate) fn by_tag(tag: &str) -> Result<Query, Failure> {
    Ok(Query::item(QueryItem::with_tags(Tags::new([Tag::new(tag)?])?)))
}

fn read(reader: &ReadHandle, query: &Query) -> Result<Seen, Failure> {
    let mut events = reader.read(query, Position::ZERO, None);
    let mut seen = Seen::default();
    while let Some(event) = events.next() {
        let event = event?;
        let names = event.event.tags().chain([event.event.event_type()]);
        seen.look(event.position.get(), names, event.event.data());
    }
    Ok(seen)
}
