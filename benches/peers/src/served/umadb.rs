//! `UmaDB`'s server and client.

use std::path::Path;

use benches::Failure;
use tokio::sync::oneshot;
use umadb_client::{AsyncUmaDbClient, UmaDbClient};
use umadb_dcb::{DcbAppendCondition, DcbEventStoreAsync as _, DcbQuery};

use super::{Follow, Process};
use crate::{
    batch::Batch,
    peer::{Peer, Seen},
    stores::umadb::{by_tag, events, look},
};

/// `UmaDB`.
pub(crate) struct UmaDb {
    process: Process,
    client: AsyncUmaDbClient,
}

impl Peer for UmaDb {
    async fn open(folder: &Path) -> Result<Self, Failure> {
        let process = Process::start("umadb", folder)?;
        let client = UmaDbClient::new(format!("http://{}", process.address())).connect_async().await?;
        client.head().await?;
        Ok(Self { process, client })
    }

    async fn append(&self, batch: Batch) -> Result<(), Failure> {
        let batch = batch.keys_as_tags();
        let condition = batch.new_tag().map(|tag| DcbAppendCondition::new(by_tag(tag)));
        self.client.append(events(batch), condition, None).await?;
        Ok(())
    }

    async fn read_tag(&self, tag: &str) -> Result<Seen, Failure> {
        self.read(Some(by_tag(tag))).await
    }

    async fn read_stream(&self, stream: &str) -> Result<Seen, Failure> {
        self.read_tag(stream).await
    }

    async fn replay(&self) -> Result<Seen, Failure> {
        self.read(None).await
    }

    fn process(&self) -> u32 {
        self.process.id()
    }

    async fn close(self) -> Result<(), Failure> {
        drop(self.client);
        self.process.end().await
    }
}

impl UmaDb {
    async fn read(&self, query: Option<DcbQuery>) -> Result<Seen, Failure> {
        let mut batches = self.client.read(query, None, false, None).await?;
        let mut seen = Seen::default();
        loop {
            let events = batches.next_batch().await?;
            if events.is_empty() {
                return Ok(seen);
            }
            look(&mut seen, &events);
        }
    }
}

impl Follow for UmaDb {
    /// It does not say when it is caught up: the log is new, so it is.
    async fn follow(&self, caught_up: oneshot::Sender<()>, mut each: impl FnMut() + Send) -> Result<(), Failure> {
        let mut subscription = self.client.subscribe(None, None).await?;
        _ = caught_up.send(());
        loop {
            let events = subscription.next_batch().await?;
            if events.is_empty() {
                return Ok(());
            }
            events.iter().for_each(|_| each());
        }
    }
}
