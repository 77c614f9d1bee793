//! Asking the store under test.

use annalist_core::{Batches, Cursor, Delivery, EventStore as _, Query, RecordedEvent, StoreError, Subscription};

use super::oracle::{Answer, Fact, Request};
use crate::conformance::Subject;

/// The store's answer, and the recorded events it is made from.
pub(super) async fn answer(subject: &mut dyn Subject, request: &Request) -> (Answer, Vec<RecordedEvent>) {
    let store = subject.store();
    let mut seen = Vec::new();
    let answer = match request {
        Request::Append(append) => Answer::Appended(store.append(append.clone()).await),
        Request::Read(read) => {
            let result = match store.read(read.clone()).await {
                Ok(mut batches) => drain(&mut *batches, &mut seen).await,
                Err(error) => Err(error),
            };
            Answer::Read(result.map(|()| facts(&seen)))
        }
        Request::Follow(after) => {
            let result = match store.subscribe(Query::all(), *after).await {
                Ok(mut subscription) => until_edge(&mut *subscription, &mut seen).await,
                Err(error) => Err(error),
            };
            Answer::Followed(result.map(|edge| (facts(&seen), edge)))
        }
        Request::Outcome(key) => Answer::Outcome(store.outcome(key).await),
        Request::Head => Answer::Head(store.head().await),
        Request::Reopen(how) => {
            if let Some(reopens) = subject.reopens() {
                drop(store);
                reopens.reopen(*how).await;
            }
            Answer::Reopened
        }
    };
    (answer, seen)
}

fn facts(events: &[RecordedEvent]) -> Vec<Fact> {
    events.iter().map(Fact::from).collect()
}

async fn drain(batches: &mut dyn Batches, seen: &mut Vec<RecordedEvent>) -> Result<(), StoreError> {
    loop {
        let batch = batches.next().await?;
        if batch.is_empty() {
            return Ok(());
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
