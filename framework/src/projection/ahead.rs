//! Decoding ahead of the applier: a feed whose batches come decoded, in their order.

use std::sync::Arc;

use annalist_core::{Cursor, StoreError};
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesOrdered};

use super::{
    blocking::blocking,
    feed::{Fed, Feed},
    instance::Instance,
};

/// See the module.
pub(super) struct Ahead {
    feed: Feed,
    instance: Arc<dyn Instance>,
    log: Cursor,
    /// How many batches are decoded at a time.
    decoders: usize,
    /// Batches in order, as they are decoded.
    decoding: FuturesOrdered<BoxFuture<'static, Result<Fed, StoreError>>>,
    /// What ended the feed; said behind the batches that came before.
    failed: Option<StoreError>,
    /// Whether the last batch was the last there is at present, so that looking for another could take for ever.
    caught_up: bool,
}

impl Ahead {
    pub(super) fn new(feed: Feed, instance: Arc<dyn Instance>, log: Cursor, decoders: usize) -> Self {
        Self { feed, instance, log, decoders, decoding: FuturesOrdered::new(), failed: None, caught_up: false }
    }

    /// Waits for the next batch, and meanwhile has those behind it decoded. Cancel-safe.
    ///
    /// # Errors
    /// As [`Feed::next`].
    pub(super) async fn next(&mut self) -> Result<Fed, StoreError> {
        if self.decoders == 0 {
            return self.feed.next().await;
        }
        loop {
            // What may never come is not waited for with batches in hand.
            let more = !self.caught_up || self.decoding.is_empty();
            let may_read = more && self.failed.is_none() && self.decoding.len() < self.decoders;
            tokio::select! {
                biased;
                // Reading costs little and keeps the decoders at work.
                fed = self.feed.next(), if may_read => match fed {
                    Ok(fed) => self.decode(fed),
                    Err(error) => self.failed = Some(error),
                },
                Some(decoded) = self.decoding.next() => return decoded,
                else => return Err(self.failed.take().unwrap_or(StoreError::Closed)),
            }
        }
    }

    fn decode(&mut self, fed: Fed) {
        self.caught_up = fed.caught_up;
        let (instance, log) = (Arc::clone(&self.instance), self.log);
        let decoding = blocking(move || {
            let decoded = instance.decode(&fed.events, log);
            Ok(Fed { decoded: Some(decoded), ..fed })
        });
        self.decoding.push_back(Box::pin(decoding));
    }
}
