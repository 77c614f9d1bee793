//! A finite read in progress, which goes on where it broke off.

use std::sync::Arc;

use annalist_core::{Batches, Cursor, Direction, Read, RecordedEvent, Source, StoreError};
use annalist_proto::{stored_events, v1};
use async_trait::async_trait;
use tonic::{Response, Status, Streaming};

use crate::{
    failure::Failure,
    remote::{Again, Asked, Remote},
};

type Resuming = std::pin::Pin<Box<dyn Future<Output = Result<Begun, StoreError>> + Send>>;

/// What a read begins with: the head, the first events, and where the others come from.
struct Begun {
    head: Cursor,
    events: Vec<RecordedEvent>,
    more: More,
}

/// Where further events come from.
enum More {
    /// From here.
    Stream(Box<Streaming<v1::ReadResponse>>),
    /// They have to be asked for: they were too many, or the stream broke off.
    Unasked,
    /// There are none.
    None,
}

pub(crate) async fn begin(remote: &Arc<Remote>, read: Read) -> Result<Box<dyn Batches>, StoreError> {
    if let Source::Query { query, .. } = &read.source {
        query.check()?;
    }
    // Most reads are short and cost a message then, not a call. Of the whole log there is more.
    let begun = match read.source {
        Source::All { .. } => ask(remote, read.clone()).await?,
        _ => look_up(remote, &read).await?,
    };
    let Begun { head, events, more } = begun;
    let remote = Arc::clone(remote);
    Ok(Box::new(Reading { remote, head, rest: Some(read), ready: events, more, resuming: None }))
}

/// What a read begins with, as the server says it.
type First = (Option<v1::Cursor>, Option<v1::Events>, More);

async fn look_up(remote: &Remote, read: &Read) -> Result<Begun, StoreError> {
    let attempt = |asked: Asked<_>| async move {
        let short = remote.short();
        if !short.knows_lookups() {
            // In a box: what a call of its own needs is large, and most reads would carry room for it around.
            return Box::pin(first(remote, asked)).await;
        }
        let found = short.look_up(asked.question, remote.trace(), || remote.metadata()).await?;
        let v1::Found { head, events, complete } = found.into_inner();
        Ok(Response::new((head, events, if complete { More::None } else { More::Unasked })))
    };
    let asked = remote.call(|| v1::ReadRequest::from(read.clone()), Again::Harmless, Failure::of_reading, attempt);
    begun(asked.await.map_err(Failure::into_store_error)?)
}

async fn ask(remote: &Remote, read: Read) -> Result<Begun, StoreError> {
    let attempt = |asked| first(remote, asked);
    let asked = remote.call(|| v1::ReadRequest::from(read.clone()), Again::Harmless, Failure::of_reading, attempt);
    begun(asked.await.map_err(Failure::into_store_error)?)
}

async fn first(remote: &Remote, asked: Asked<v1::ReadRequest>) -> Result<Response<First>, Status> {
    let mut stream = remote.streams().read(remote.streamed(asked)).await?.into_inner();
    // The first message belongs to the attempt: until it is there, nothing was said.
    let v1::ReadResponse { head, events } = stream.message().await?.unwrap_or_default();
    Ok(Response::new((head, events, More::Stream(Box::new(stream)))))
}

fn begun((head, events, more): First) -> Result<Begun, StoreError> {
    let incomprehensible = |why: &str| Failure::incomprehensible(&why).into_store_error();
    let head = head.ok_or_else(|| incomprehensible("a read without a head"))?;
    let head = Cursor::try_from(head).map_err(|error| incomprehensible(&error.to_string()))?;
    Ok(Begun { head, events: stored_events(events.unwrap_or_default())?, more })
}

struct Reading {
    remote: Arc<Remote>,
    /// The head when the read began; nothing behind it is part of the read.
    head: Cursor,
    /// What is still to be read; `None` at the end.
    rest: Option<Read>,
    /// What has arrived and was not delivered.
    ready: Vec<RecordedEvent>,
    more: More,
    /// Kept here, so that whoever drops a wait loses nothing.
    resuming: Option<Resuming>,
}

#[async_trait]
impl Batches for Reading {
    fn head(&self) -> Cursor {
        self.head
    }

    async fn next(&mut self) -> Result<Vec<RecordedEvent>, StoreError> {
        let remote = Arc::clone(&self.remote);
        remote.while_open(self.advance()).await?
    }
}

impl Reading {
    async fn advance(&mut self) -> Result<Vec<RecordedEvent>, StoreError> {
        loop {
            if self.rest.is_none() {
                return Ok(Vec::new());
            }
            let events = std::mem::take(&mut self.ready);
            let events = self.counted(events);
            if !events.is_empty() {
                return Ok(events);
            }
            let stream = match &mut self.more {
                More::Stream(stream) => stream,
                More::Unasked => {
                    self.resume().await?;
                    continue;
                }
                More::None => {
                    self.rest = None;
                    continue;
                }
            };
            match stream.message().await {
                Ok(Some(response)) => self.ready = stored_events(response.events.unwrap_or_default())?,
                Ok(None) => self.rest = None,
                Err(status) => {
                    self.more = More::Unasked;
                    match Failure::of_reading(status) {
                        Failure::NotTaken(why) | Failure::Lost(why) => {
                            tracing::debug!(address = self.remote.address(), why, "a read goes on where it broke off");
                        }
                        refused @ Failure::Refused(_) => return Err(refused.into_store_error()),
                    }
                }
            }
        }
    }

    /// Asks for the rest.
    async fn resume(&mut self) -> Result<(), StoreError> {
        let Some(rest) = self.rest.clone() else { return Ok(()) };
        let remote = Arc::clone(&self.remote);
        let resuming = self.resuming.get_or_insert_with(|| Box::pin(async move { ask(&remote, rest).await }));
        let begun = resuming.await;
        self.resuming = None;
        let Begun { head, events, more } = begun?;
        if !self.head.fits(&head) {
            // Another log stands there now.
            return Err(StoreError::ForeignCursor { cursor: self.head, head });
        }
        (self.ready, self.more) = (events, more);
        Ok(())
    }

    /// Leaves out what is not part of the read, and notes what is still to come.
    fn counted(&mut self, mut events: Vec<RecordedEvent>) -> Vec<RecordedEvent> {
        let Some(rest) = &mut self.rest else { return Vec::new() };
        let arrived = events.len();
        events.retain(|event| event.position <= self.head.position);
        if let Some(last) = events.last() {
            match &mut rest.source {
                Source::Stream { bound, .. } => *bound = last.version,
                Source::All { bound } | Source::Query { bound, .. } => *bound = last.position,
                _ => {}
            }
            rest.limit = rest.limit.saturating_sub(events.len() as u64);
        }
        // Forwards, everything behind the first that came too late came too late.
        if rest.limit == 0 || (events.len() < arrived && rest.direction == Direction::Forward) {
            self.rest = None;
        }
        events
    }
}
