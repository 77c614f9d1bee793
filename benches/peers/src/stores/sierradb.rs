//! `SierraDB`, embedded, with its default options. It has streams and partitions, no tags, and no order across partitions.

use std::path::Path;

use benches::Failure;
use futures_util::future::try_join_all;
use sierradb::{
    IterDirection, StreamId,
    bucket::segment::CommittedEvents,
    database::{Database, DatabaseBuilder, ExpectedVersion, NewEvent, Transaction},
    id::{NAMESPACE_PARTITION_KEY, uuid_to_partition_hash, uuid_v7_with_partition_hash},
};
use smallvec::SmallVec;
use uuid::Uuid;

use crate::{
    batch::{Batch, Item, Once},
    peer::{Peer, Seen},
};

/// Partitions in use; streams are spread over them by the hash of their partition key. Its buckets are fewer.
const PARTITIONS: u16 = 32;

/// Commits that one batch of a read asks for.
const BATCH: usize = 500;

/// `SierraDB`. A stream is its own partition key; an append of several streams becomes one transaction for each.
pub(crate) struct SierraDb(Database);

impl Peer for SierraDb {
    async fn open(folder: &Path) -> Result<Self, Failure> {
        Ok(Self(DatabaseBuilder::new().open(folder)?))
    }

    async fn append(&self, batch: Batch) -> Result<(), Failure> {
        if !matches!(batch.once, Once::No) {
            return Err("no conditions but on versions".into());
        }
        let mut items = batch.items.into_iter().peekable();
        let mut transactions = Vec::new();
        while let Some(first) = items.next() {
            let stream = StreamId::new(first.stream.as_str())?;
            let key = Uuid::new_v5(&NAMESPACE_PARTITION_KEY, first.stream.as_bytes());
            let name = first.stream.clone();
            let mut events = SmallVec::new();
            events.push(event(&first, &stream, key));
            while let Some(item) = items.next_if(|item| item.stream == name) {
                events.push(event(&item, &stream, key));
            }
            transactions.push(self.0.append_events(Transaction::new(key, partition(key), events)?));
        }
        try_join_all(transactions).await?;
        Ok(())
    }

    async fn read_tag(&self, _: &str) -> Result<Seen, Failure> {
        Err("no tags".into())
    }

    async fn read_stream(&self, stream: &str) -> Result<Seen, Failure> {
        let key = Uuid::new_v5(&NAMESPACE_PARTITION_KEY, stream.as_bytes());
        let stream = StreamId::new(stream)?;
        let mut commits = self.0.read_stream(partition(key), stream, 0, IterDirection::Forward).await?;
        let mut seen = Seen::default();
        while let Some(batch) = commits.next_batch(BATCH).await? {
            look(&mut seen, batch);
        }
        Ok(seen)
    }

    /// Partition by partition: there is no order across them.
    async fn replay(&self) -> Result<Seen, Failure> {
        let mut seen = Seen::default();
        for partition in 0..PARTITIONS {
            let mut commits = self.0.read_partition(partition, 0, IterDirection::Forward).await?;
            while let Some(batch) = commits.next_batch(BATCH).await? {
                look(&mut seen, batch);
            }
        }
        Ok(seen)
    }

    fn process(&self) -> u32 {
        std::process::id()
    }

    async fn close(self) -> Result<(), Failure> {
        self.0.shutdown().await;
        Ok(())
    }
}

fn partition(key: Uuid) -> u16 {
    uuid_to_partition_hash(key) % PARTITIONS
}

fn event(item: &Item, stream: &StreamId, key: Uuid) -> NewEvent {
    NewEvent {
        event_id: uuid_v7_with_partition_hash(uuid_to_partition_hash(key)),
        stream_id: stream.clone(),
        stream_version: ExpectedVersion::from_next_version(item.version),
        event_name: item.event.event_type.name().to_owned(),
        timestamp: 1,
        metadata: Vec::new(),
        payload: item.event.payload.to_vec(),
    }
}

fn look(seen: &mut Seen, commits: Vec<CommittedEvents>) {
    for event in commits.into_iter().flatten() {
        seen.look(event.partition_sequence, [&*event.stream_id, event.event_name.as_str()], &event.payload);
    }
}
