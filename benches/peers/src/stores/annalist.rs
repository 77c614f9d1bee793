//! Annalist, with its default options unless `PEERS_OPTIONS` says otherwise.

use std::{env, path::Path};

use annalist_core::{
    Append, Cursor, EventStore, Expected, Fingerprint, Key, NewEvent, Position, Query, Read, RecordedEvent, StreamId,
    Tag, Version,
};
use annalist_store::Store;
use benches::Failure;

use crate::{
    batch::{Batch, Item, Once},
    peer::{Peer, Seen},
};

/// Annalist.
#[derive(Debug)]
pub(crate) struct Annalist(Store);

impl Peer for Annalist {
    async fn open(folder: &Path) -> Result<Self, Failure> {
        let options = env::var("PEERS_OPTIONS").unwrap_or_else(|_| "{}".to_owned());
        Ok(Self(Store::open_with(folder, serde_json::from_str(&options)?)?))
    }

    async fn append(&self, batch: Batch) -> Result<(), Failure> {
        self.0.append(append(batch)?).await?;
        Ok(())
    }

    async fn read_tag(&self, tag: &str) -> Result<Seen, Failure> {
        read(&self.0, Read::query(Query::tags([Tag::new(tag)?]), Position::ZERO)).await
    }

    async fn read_stream(&self, stream: &str) -> Result<Seen, Failure> {
        read(&self.0, Read::stream(StreamId::new(stream)?, Version::ZERO)).await
    }

    async fn replay(&self) -> Result<Seen, Failure> {
        read(&self.0, Read::all(Position::ZERO)).await
    }

    fn process(&self) -> u32 {
        std::process::id()
    }

    async fn close(self) -> Result<(), Failure> {
        Ok(self.0.close().await?)
    }
}

/// What is to be appended, for a store that has everything.
pub(crate) fn append(batch: Batch) -> Result<Append, Failure> {
    let mut append = Append::new();
    let mut items = batch.items.into_iter().peekable();
    while let Some(first) = items.next() {
        let stream = StreamId::new(first.stream.as_str())?;
        let expected = if batch.by_stream { Expected::Exact(Version::new(first.version)) } else { Expected::Any };
        let mut events = Vec::with_capacity(1 + items.len());
        let name = first.stream.clone();
        events.push(tagged(first)?);
        while let Some(item) = items.next_if(|item| item.stream == name) {
            events.push(tagged(item)?);
        }
        append = append.events(stream, expected, events);
    }
    Ok(match batch.once {
        Once::No => append,
        Once::Tag(tag) => append.unless(Query::tags([Tag::new(tag)?]), Cursor::START),
        Once::Key(key) => append.keyed(Key::new("bench", key)?, Fingerprint::new([7; 16]), ""),
    })
}

/// Reads to the end, and looks at each event.
pub(crate) async fn read(store: &impl EventStore, read: Read) -> Result<Seen, Failure> {
    let mut batches = store.read(read).await?;
    let mut seen = Seen::default();
    loop {
        let events = batches.next().await?;
        if events.is_empty() {
            return Ok(seen);
        }
        for event in &events {
            look(&mut seen, event);
        }
    }
}

fn look(seen: &mut Seen, event: &RecordedEvent) {
    let names = event.tags().chain([event.stream(), event.type_name()]);
    seen.look(event.position.get() + event.version.get(), names, event.payload());
}

fn tagged(item: Item) -> Result<NewEvent, Failure> {
    if item.tags.is_empty() {
        return Ok(item.event);
    }
    let tags = item.tags.into_iter().map(Tag::new).collect::<Result<Vec<_>, _>>()?;
    Ok(item.event.with_tags(tags))
}
