//! Annalist's server and client.

use std::path::Path;

use annalist_client::RemoteStore;
use annalist_core::{Cursor, Delivery, EventStore as _, Position, Query, Read, StreamId, Tag, Version};
use benches::Failure;
use tokio::sync::oneshot;

use super::{Follow, Process};
use crate::{
    batch::Batch,
    peer::{Peer, Seen},
    stores::annalist::{append, read},
};

/// Annalist.
#[derive(Debug)]
pub(crate) struct Annalist {
    process: Process,
    client: RemoteStore,
}

impl Peer for Annalist {
    async fn open(folder: &Path) -> Result<Self, Failure> {
        let process = Process::start("annalist", folder)?;
        let client = RemoteStore::connect(&format!("http://{}", process.address()))?;
        client.head().await?;
        Ok(Self { process, client })
    }

    async fn append(&self, batch: Batch) -> Result<(), Failure> {
        self.client.append(append(batch)?).await?;
        Ok(())
    }

    async fn read_tag(&self, tag: &str) -> Result<Seen, Failure> {
        read(&self.client, Read::query(Query::tags([Tag::new(tag)?]), Position::ZERO)).await
    }

    async fn read_stream(&self, stream: &str) -> Result<Seen, Failure> {
        read(&self.client, Read::stream(StreamId::new(stream)?, Version::ZERO)).await
    }

    async fn replay(&self) -> Result<Seen, Failure> {
        read(&self.client, Read::all(Position::ZERO)).await
    }

    fn process(&self) -> u32 {
        self.process.id()
    }

    async fn close(self) -> Result<(), Failure> {
        drop(self.client);
        self.process.end().await
    }
}

impl Follow for Annalist {
    async fn follow(&self, caught_up: oneshot::Sender<()>, mut each: impl FnMut() + Send) -> Result<(), Failure> {
        let mut subscription = self.client.subscribe(Query::all(), Cursor::START).await?;
        let mut caught_up = Some(caught_up);
        loop {
            match subscription.next().await? {
                Delivery::Events(events) => events.iter().for_each(|_| each()),
                Delivery::CaughtUp(_) => _ = caught_up.take().map(|caught_up| caught_up.send(())),
                _ => {}
            }
        }
    }
}
