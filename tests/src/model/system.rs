//! Asking the store under test.

use annalist_core::{Batches, Cursor, Delivery, RecordedEvent, StoreError, Subscription};

use super::{
    fact::Fact,
    request::{Answer, Held, Request},
};
use crate::conformance::Store;

/// The store's answer, and the recorded events it is made from.
pub(crate) async fn ask(store: &Store, request: &Request) -> (Answer, Vec<RecordedEvent>) {
    let mut seen = Vec::new();
    let answer = match request {
        Request::Append(append) => Answer::Appended(store.append(append.clone()).await),
        Request::Read(read) => {
            let result = match store.read(read.clone()).await {
                Ok(mut batches) => drain(&mut *batches, &mut seen).await,
                Err(error) => Err(error),
            };
            Answer::Read(result.map(|head| (facts(&seen), head)))
        }
        Request::Follow(query, after) => {
            let result = match store.subscribe(query.clone(), *after).await {
                Ok(mut subscription) => until_edge(&mut *subscription, &mut seen).await,
                Err(error) => Err(error),
            };
            Answer::Followed(result.map(|edge| (facts(&seen), edge)))
        }
        Request::Outcome(key) => Answer::Outcome(store.outcome(key).await),
        Request::Head => Answer::Head(store.head().await),
        Request::Before(time) => Answer::Before(store.position_before(*time).await),
        Request::Statistics => Answer::Statistics(store.statistics().await.map(|found| Held {
            head: found.head,
            streams: found.streams,
            event_bytes: found.event_bytes,
            index_is_within: found.indexed <= found.head.position,
        })),
    };
    (answer, seen)
}

fn facts(events: &[RecordedEvent]) -> Vec<Fact> {
    events.iter().map(Fact::from).collect()
}

async fn drain(batches: &mut dyn Batches, seen: &mut Vec<RecordedEvent>) -> Result<Cursor, StoreError> {
    loop {
        let batch = batches.next().await?;
        if batch.is_empty() {
            return Ok(batches.head());
        }
        seen.extend(batch);
    }
}

async fn until_edge(subscription: &mut dyn Subscription, seen: &mut Vec<RecordedEvent>) -> Result<Cursor, StoreError> {
    loop {
        match subscription.next().await? {
            Delivery::Events(events) => seen.extend(events),
            Delivery::CaughtUp(edge) => return Ok(edge),
            Delivery::Checkpoint(_) => {}
        }
    }
}
