//! Tephra's server and its asynchronous client, which has a connection for appends and four for reads.

use std::path::Path;

use benches::Failure;
use futures_util::StreamExt as _;
use tephra_client::{AppendCondition, AsyncClient, Event, Position, Query, SequencedEvent, SubEvent};
use tokio::sync::oneshot;

use super::{Follow, Process};
use crate::{
    batch::Batch,
    peer::{Peer, Seen},
    stores::tephra::by_tag,
};

/// Tephra.
pub(crate) struct Tephra {
    process: Process,
    client: AsyncClient,
}

impl Peer for Tephra {
    async fn open(folder: &Path) -> Result<Self, Failure> {
        let process = Process::start("tephra", folder)?;
        let client = AsyncClient::connect(process.address()).await?;
        Ok(Self { process, client })
    }

    async fn append(&self, batch: Batch) -> Result<(), Failure> {
        let batch = batch.keys_as_tags();
        let condition = batch.new_tag().map(by_tag).transpose()?.map(AppendCondition::exists_only);
        let mut events = Vec::with_capacity(batch.items.len());
        for item in &batch.items {
            let tags = item.all_tags(batch.by_stream);
            let event = Event::new(item.event.event_type.name(), tags, item.event.payload.to_vec());
            events.push(event.map_err(|error| format!("{error:?}"))?);
        }
        self.client.append(events, condition).await?;
        Ok(())
    }

    async fn read_tag(&self, tag: &str) -> Result<Seen, Failure> {
        self.read(by_tag(tag)?).await
    }

    async fn read_stream(&self, stream: &str) -> Result<Seen, Failure> {
        self.read_tag(stream).await
    }

    async fn replay(&self) -> Result<Seen, Failure> {
        self.read(Query::all()).await
    }

    fn process(&self) -> u32 {
        self.process.id()
    }

    async fn close(self) -> Result<(), Failure> {
        drop(self.client);
        self.process.end().await
    }
}

impl Tephra {
    async fn read(&self, query: Query) -> Result<Seen, Failure> {
        let mut events = self.client.read(query, Position::ZERO, None).await;
        let mut seen = Seen::default();
        while let Some(event) = events.next().await {
            look(&mut seen, &event?);
        }
        Ok(seen)
    }
}

impl Follow for Tephra {
    async fn follow(&self, caught_up: oneshot::Sender<()>, mut each: impl FnMut() + Send) -> Result<(), Failure> {
        let mut subscription = self.client.subscribe(Query::all(), Position::ZERO).await;
        let mut caught_up = Some(caught_up);
        while let Some(delivery) = subscription.next().await {
            match delivery? {
                SubEvent::Event(_) => each(),
                SubEvent::CaughtUp(_) => _ = caught_up.take().map(|caught_up| caught_up.send(())),
            }
        }
        Ok(())
    }
}

fn look(seen: &mut Seen, event: &SequencedEvent) {
    let names = event.event().tags().chain([event.event().event_type()]);
    seen.look(event.position().get(), names, event.event().payload());
}
