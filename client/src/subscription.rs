//! A subscription in progress, which goes on where it broke off.

use std::{pin::Pin, sync::Arc};

use annalist_core::{Cursor, Delivery, Query, StoreError, Subscription};
use annalist_proto::{
    stored_events, subscribe,
    v1::{self, subscribe_response::Delivery as Wire},
};
use async_trait::async_trait;
use tonic::{Response, Status, Streaming};

use crate::{
    failure::Failure,
    pause::Pauses,
    remote::{Again, Remote},
};

type Resuming = Pin<Box<dyn Future<Output = Result<Begun, StoreError>> + Send>>;

/// Where a subscription begins, and where its deliveries come from.
struct Begun {
    at: Cursor,
    stream: Streaming<v1::SubscribeResponse>,
}

pub(crate) async fn begin(
    remote: &Arc<Remote>,
    query: Query,
    after: Cursor,
) -> Result<Box<dyn Subscription>, StoreError> {
    query.check()?;
    let Begun { at, stream } = ask(remote, &query, after).await.map_err(Failure::into_store_error)?;
    let remote = Arc::clone(remote);
    let stream = Some(stream);
    Ok(Box::new(Following { remote, query, seen: at, at_edge: false, ahead: None, stream, resuming: None }))
}

async fn ask(remote: &Remote, query: &Query, after: Cursor) -> Result<Begun, Failure> {
    let attempt = |asked| async move {
        let mut stream = remote.streams().subscribe(remote.streamed(asked)).await?.into_inner();
        let first = stream.message().await?.and_then(|first| first.delivery);
        let Some(Wire::Began(at)) = first else { return Err(Status::unavailable("it ended before it began")) };
        Ok(Response::new((at, stream)))
    };
    let request = || subscribe(query.clone(), after);
    let (at, stream) = remote.call(request, Again::Harmless, Failure::of_reading, attempt).await?;
    let at = Cursor::try_from(at).map_err(|error| Failure::incomprehensible(&error))?;
    Ok(Begun { at, stream })
}

/// Asks until the server is back.
async fn ask_on(remote: Arc<Remote>, query: Query, after: Cursor) -> Result<Begun, StoreError> {
    let mut pauses = Pauses::default();
    loop {
        match ask(&remote, &query, after).await {
            Ok(begun) => return Ok(begun),
            Err(Failure::NotTaken(why) | Failure::Lost(why)) => {
                tracing::warn!(address = remote.address(), why, "a subscription waits for the server");
                remote.pause(pauses.next()).await?;
            }
            Err(refused @ Failure::Refused(_)) => return Err(refused.into_store_error()),
        }
    }
}

fn is_edge(response: &v1::SubscribeResponse) -> bool {
    matches!(response.delivery, Some(Wire::CaughtUp(_)))
}

fn is_events(response: &v1::SubscribeResponse) -> bool {
    matches!(response.delivery, Some(Wire::Events(_)))
}

/// The next message, if it is there already. A failure will be there again.
async fn now(
    message: impl Future<Output = Result<Option<v1::SubscribeResponse>, Status>>,
) -> Option<v1::SubscribeResponse> {
    tokio::select! {
        biased;
        message = message => message.ok().flatten(),
        () = std::future::ready(()) => None,
    }
}

struct Following {
    remote: Arc<Remote>,
    query: Query,
    /// Everything up to here was delivered or does not match.
    seen: Cursor,
    /// Whether it was said that there is nothing behind what was delivered.
    at_edge: bool,
    /// What arrived behind an edge that was told.
    ahead: Option<v1::SubscribeResponse>,
    /// `None` when it broke off.
    stream: Option<Streaming<v1::SubscribeResponse>>,
    /// Kept here, so that whoever drops a wait loses nothing.
    resuming: Option<Resuming>,
}

#[async_trait]
impl Subscription for Following {
    async fn next(&mut self) -> Result<Delivery, StoreError> {
        let remote = Arc::clone(&self.remote);
        remote.while_open(self.advance()).await?
    }
}

impl Following {
    async fn advance(&mut self) -> Result<Delivery, StoreError> {
        loop {
            let Some(stream) = &mut self.stream else {
                self.resume().await?;
                continue;
            };
            let arrived = match self.ahead.take() {
                Some(response) => Ok(Some(response)),
                None => stream.message().await,
            };
            let why = match arrived {
                Ok(Some(response)) => {
                    if is_edge(&response) {
                        self.ahead = now(stream.message()).await;
                        if self.ahead.as_ref().is_some_and(is_events) {
                            // More was sent while nobody took what was there: the edge is none any more.
                            continue;
                        }
                    }
                    match self.taken(response)? {
                        Some(delivery) => return Ok(delivery),
                        None => continue,
                    }
                }
                Ok(None) => "the server ended it".to_owned(),
                Err(status) => match Failure::of_reading(status) {
                    Failure::NotTaken(why) | Failure::Lost(why) => why,
                    refused @ Failure::Refused(_) => {
                        self.stream = None;
                        return Err(refused.into_store_error());
                    }
                },
            };
            self.stream = None;
            tracing::debug!(address = self.remote.address(), why, "a subscription goes on where it broke off");
        }
    }

    async fn resume(&mut self) -> Result<(), StoreError> {
        let (remote, query, seen) = (Arc::clone(&self.remote), &self.query, self.seen);
        let resuming = self.resuming.get_or_insert_with(|| Box::pin(ask_on(remote, query.clone(), seen)));
        let begun = resuming.await;
        self.resuming = None;
        self.stream = Some(begun?.stream);
        Ok(())
    }

    /// What a response has to deliver. After a break the server says things that were said before it.
    fn taken(&mut self, response: v1::SubscribeResponse) -> Result<Option<Delivery>, StoreError> {
        let cursor = |cursor: v1::Cursor| {
            Cursor::try_from(cursor).map_err(|error| Failure::incomprehensible(&error).into_store_error())
        };
        Ok(match response.delivery {
            Some(Wire::Events(events)) => {
                let events = stored_events(events)?;
                let Some(last) = events.last() else { return Ok(None) };
                (self.seen, self.at_edge) = (self.seen.at(last.position), false);
                Some(Delivery::Events(events))
            }
            Some(Wire::CaughtUp(at)) => {
                let (at, seen, was_at_edge) = (cursor(at)?, self.seen, self.at_edge);
                (self.seen, self.at_edge) = (at, true);
                if was_at_edge {
                    (at != seen).then_some(Delivery::Checkpoint(at))
                } else {
                    Some(Delivery::CaughtUp(at))
                }
            }
            Some(Wire::Checkpoint(at)) => {
                self.seen = cursor(at)?;
                Some(Delivery::Checkpoint(self.seen))
            }
            // What a newer server has to say besides.
            Some(Wire::Began(_)) | None => None,
        })
    }
}
