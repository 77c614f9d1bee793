//! Reads and subscriptions as streams of messages. A stream does nothing until its messages can be sent, so that a slow reader
//! holds up one batch and no more.

use std::{collections::VecDeque, pin::Pin};

use annalist_core::{Batches, Cursor, Delivery, RecordedEvent, StoreError, Subscription};
use annalist_proto::{
    delivery, events,
    v1::{self, Form, subscribe_response::Delivery as Wire},
};
use futures_util::{Stream, StreamExt as _, stream::try_unfold};
use tonic::Status;

use super::unread;
use crate::{
    answers::Answer,
    limits::{BATCH_BYTES_MAX, LOOKUP_BYTES_MAX},
    stopping::Stopping,
};

/// Messages on their way to a caller.
pub(super) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The same messages, which occupy a place until they end.
pub(super) fn lasting<T: 'static>(answers: Answers<T>, place: Answer) -> Answers<T> {
    Box::pin(answers.map(move |answer| {
        let _place = &place;
        answer
    }))
}

/// Events that wait to be sent.
#[derive(Default)]
struct Waiting(VecDeque<RecordedEvent>);

impl Waiting {
    /// As many of them as fit a message.
    fn take(&mut self) -> Vec<RecordedEvent> {
        let mut bytes = 0;
        let fits = |event: &&RecordedEvent| {
            bytes += event.body_bytes();
            bytes <= BATCH_BYTES_MAX
        };
        let count = self.0.iter().take_while(fits).count().max(1).min(self.0.len());
        self.0.drain(..count).collect()
    }
}

/// The first events of a read, as much as others may wait behind.
pub(super) async fn found(mut batches: Box<dyn Batches>, form: Form) -> Result<v1::Found, StoreError> {
    let (mut found, mut bytes) = (Vec::new(), 0);
    let complete = 'reading: loop {
        let batch = batches.next().await?;
        if batch.is_empty() {
            break true;
        }
        for event in batch {
            bytes += event.body_bytes();
            if bytes > LOOKUP_BYTES_MAX && !found.is_empty() {
                break 'reading false;
            }
            found.push(event);
        }
    };
    Ok(v1::Found { head: Some(batches.head().into()), events: Some(events(&found, form)), complete })
}

/// The events of a read, behind the head.
pub(super) fn reading(batches: Box<dyn Batches>, form: Form) -> Answers<v1::ReadResponse> {
    let head = Some(batches.head());
    let state = (batches, head, Waiting::default());
    Box::pin(try_unfold(state, move |(mut batches, head, mut waiting)| async move {
        if waiting.0.is_empty() {
            waiting.0 = batches.next().await.map_err(|error| unread(&error))?.into();
        }
        if waiting.0.is_empty() && head.is_none() {
            return Ok(None);
        }
        let head = head.map(Into::into);
        let response = v1::ReadResponse { head, events: Some(events(&waiting.take(), form)) };
        Ok(Some((response, (batches, None::<Cursor>, waiting))))
    }))
}

/// The deliveries of a subscription, behind where it begins; until the server ends.
pub(super) fn following(
    subscription: Box<dyn Subscription>,
    began: Cursor,
    form: Form,
    stopping: Stopping,
) -> Answers<v1::SubscribeResponse> {
    let state = (subscription, Some(began), Waiting::default(), stopping);
    Box::pin(try_unfold(state, move |(mut subscription, began, mut waiting, stopping)| async move {
        let next = if let Some(began) = began {
            Wire::Began(began.into())
        } else if waiting.0.is_empty() {
            let delivered = tokio::select! {
                biased;
                () = stopping.stopped() => Err(StoreError::Closed),
                delivered = subscription.next() => delivered,
            };
            match delivered.map_err(|error| unread(&error))? {
                Delivery::Events(found) => {
                    waiting.0 = found.into();
                    Wire::Events(events(&waiting.take(), form))
                }
                other => delivery(&other, form),
            }
        } else {
            Wire::Events(events(&waiting.take(), form))
        };
        let response = v1::SubscribeResponse { delivery: Some(next) };
        Ok(Some((response, (subscription, None, waiting, stopping))))
    }))
}
