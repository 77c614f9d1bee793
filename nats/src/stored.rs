//! Reading back what a stream holds: for checks and tests, not for consumers.

use std::{collections::BTreeMap, fmt};

use annalist::outbox::Published;
use async_nats::{
    HeaderMap, HeaderValue,
    jetstream::{
        self,
        consumer::{
            DeliverPolicy,
            pull::{Ordered, OrderedConfig},
        },
    },
};
use bytes::Bytes;
use futures_util::StreamExt;

use crate::{
    connection::{named_in, servers},
    headers,
};

/// Why a stream could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the JetStream stream `{stream}` cannot be read: {detail}")]
pub struct ReadError {
    stream: String,
    detail: String,
}

/// A message as a stream holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its number in the stream, from 1.
    pub sequence: u64,
    /// The subject under which it was published.
    pub subject: String,
    /// The domain event that it was made of; `None` if no outbox has published it.
    pub origin: Option<Published>,
    /// All headers: names in lower case, values of CloudEvents attributes decoded.
    pub headers: BTreeMap<String, String>,
    /// The payload.
    pub data: Bytes,
}

impl StoredMessage {
    /// The message's identity; empty if it has none.
    #[must_use]
    pub fn id(&self) -> &str {
        self.header("ce-id")
    }

    /// The public type; empty if it has none.
    #[must_use]
    pub fn event_type(&self) -> &str {
        self.header("ce-type")
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value)
    }
}

/// What a stream holds at the time of the call, read in order.
pub struct Stored {
    stream: String,
    messages: Box<Ordered>,
    count: u64,
    last: u64,
    read: u64,
}

/// Begins to read everything that the stream `stream` of the broker at `url` holds.
///
/// # Errors
/// [`ReadError`] when the broker is not there or has no such stream.
pub async fn published(url: &str, stream: &str) -> Result<Stored, ReadError> {
    // The client's futures are large; whoever waits for this one should not be.
    Box::pin(begin(url, stream)).await
}

async fn begin(url: &str, stream: &str) -> Result<Stored, ReadError> {
    let failed = |detail: String| ReadError { stream: stream.to_owned(), detail };
    let client = named_in(&servers(url)).connect(servers(url)).await.map_err(|error| failed(error.to_string()))?;
    let handle = jetstream::new(client).get_stream(stream).await.map_err(|error| failed(error.to_string()))?;
    let state = &handle.cached_info().state;
    let (count, last) = (state.messages, state.last_sequence);
    let config = OrderedConfig { deliver_policy: DeliverPolicy::All, ..OrderedConfig::default() };
    let consumer = handle.create_consumer(config).await.map_err(|error| failed(error.to_string()))?;
    let messages = Box::new(consumer.messages().await.map_err(|error| failed(error.to_string()))?);
    Ok(Stored { stream: stream.to_owned(), messages, count, last, read: 0 })
}

impl Stored {
    /// How many messages the stream holds.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The next message; `None` behind the one that was the last when reading began.
    ///
    /// # Errors
    /// [`ReadError`] when the broker does not deliver it.
    pub async fn next(&mut self) -> Result<Option<StoredMessage>, ReadError> {
        if self.read >= self.last || self.count == 0 {
            return Ok(None);
        }
        let failed = |detail: String| ReadError { stream: self.stream.clone(), detail };
        let message = match self.messages.next().await {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Err(failed(error.to_string())),
            None => return Err(failed("the broker has ended the delivery".to_owned())),
        };
        let sequence = message.info().map_err(|error| failed(error.to_string()))?.stream_sequence;
        self.read = sequence;
        let (message, _) = message.split();
        let headers = message.headers.unwrap_or_default();
        Ok(Some(StoredMessage {
            sequence,
            subject: message.subject.to_string(),
            origin: headers::origin(&headers),
            headers: readable(&headers),
            data: message.payload,
        }))
    }

    /// All messages that are left to read.
    ///
    /// # Errors
    /// As [`Stored::next`].
    pub async fn all(mut self) -> Result<Vec<StoredMessage>, ReadError> {
        let mut messages = Vec::new();
        while let Some(message) = self.next().await? {
            messages.push(message);
        }
        Ok(messages)
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, count, read, .. } = self;
        f.debug_struct("Stored")
            .field("stream", stream)
            .field("count", count)
            .field("read", read)
            .finish_non_exhaustive()
    }
}

fn readable(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut readable = BTreeMap::new();
    for (name, values) in headers.iter() {
        let name = headers::text(name).to_ascii_lowercase();
        let Some(value) = values.last().map(HeaderValue::as_str) else { continue };
        let decoded = if name.starts_with("ce-") { headers::percent_decoded(value) } else { None };
        readable.insert(name, decoded.unwrap_or_else(|| value.to_owned()));
    }
    readable
}
