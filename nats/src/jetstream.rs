//! The publisher.

use std::fmt;

use annalist::outbox::{Mapped, Message, Outbox, PublishError, Publisher, Tail};
use annalist::{Events, Recorded};
use async_trait::async_trait;
use tracing::Instrument;

use crate::{
    connection::Reach,
    error::{misconfigured, unavailable},
    limits::SUBJECT_BYTES_MAX,
    options::{Credentials, JetstreamOptions},
    session::Session,
    subject,
};

/// A JetStream stream as the destination of an outbox.
///
/// Nothing is connected until a relay resumes. The stream is created if it does not exist: file storage, no limits, the
/// subjects `prefix.>`. An existing one is used as it is; it must take those subjects, and nobody else may write to it.
/// A stream with limits is fine: the outbox copes with messages that the broker no longer keeps.
pub struct Jetstream {
    destination: Destination,
    session: Option<Session>,
    /// The number of the stream's last message as of the last answer; `None` until the publisher resumes.
    last: Option<u64>,
}

type Subject = dyn Fn(&Message) -> String + Send + Sync;

/// Where to, and under which names.
pub(crate) struct Destination {
    pub(crate) reach: Reach,
    pub(crate) stream: String,
    pub(crate) prefix: String,
    pub(crate) source: String,
    subject: Option<Box<Subject>>,
}

impl Jetstream {
    /// The stream `EVENTS` of the broker at an address such as `nats://localhost:4222`; of a cluster, several addresses
    /// with commas between.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        let destination = Destination {
            reach: Reach::at(url.into()),
            stream: String::new(),
            prefix: String::new(),
            source: String::new(),
            subject: None,
        };
        Self { destination, session: None, last: None }.stream("EVENTS")
    }

    /// Publishes to this stream: letters, digits, `_` and `-`, by custom in capitals, one for each service.
    ///
    /// The name in lower case is the context that the defaults of [`prefix`](Self::prefix) (`ev.orders` for `ORDERS`) and
    /// [`source`](Self::source) (`urn:annalist:orders`) are made of; call this before those two.
    #[must_use]
    pub fn stream(mut self, name: impl Into<String>) -> Self {
        self.destination.stream = name.into();
        let context = self.destination.stream.to_ascii_lowercase();
        self.destination.prefix = format!("ev.{context}");
        self.destination.source = format!("urn:annalist:{context}");
        self
    }

    /// The front of all subjects. The rest is `category.identifier` of the domain event's stream, each one token: ASCII
    /// letters, digits, `_` and `-` stand as they are, every other byte as `%` and two hexadecimal digits, an empty
    /// identifier as `_`. The stream `order-7.a` is published under `ev.orders.order.7%2Ea`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.destination.prefix = prefix.into();
        self
    }

    /// Makes the subjects otherwise. They must begin with the [`prefix`](Self::prefix); a message whose subject does not, or
    /// is not a valid one, is refused.
    #[must_use]
    pub fn subject(mut self, subject: impl Fn(&Message) -> String + Send + Sync + 'static) -> Self {
        self.destination.subject = Some(Box::new(subject));
        self
    }

    /// The CloudEvents attribute `source` of all messages: a URI of this service.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.destination.source = source.into();
        self
    }

    /// Who the publisher is to the broker.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.destination.reach.credentials = credentials;
        self
    }

    /// Works with other options.
    #[must_use]
    pub fn options(mut self, options: JetstreamOptions) -> Self {
        self.destination.reach.options = options;
        self
    }

    /// An outbox to this stream with a first mapping: short for `Outbox::new(self).map_events(map)`.
    pub fn map<E: Events, M: Mapped>(self, map: impl Fn(&Recorded<E>) -> M + Send + Sync + 'static) -> Outbox {
        Outbox::new(self).map_events(map)
    }

    pub(crate) const fn destination(&self) -> &Destination {
        &self.destination
    }

    async fn connect_and_ask(&mut self) -> Result<Tail, PublishError> {
        let destination = &self.destination;
        destination.check().map_err(misconfigured)?;
        if self.session.as_ref().is_none_or(Session::is_lost) {
            self.session = None;
            self.session = Some(Session::connect(destination).await?);
        }
        match &mut self.session {
            Some(session) => session.tail(destination).await,
            None => Err(unavailable("not connected")),
        }
    }

    async fn publish_behind(&mut self, messages: &[Message], behind: u64) -> Result<u64, PublishError> {
        match &mut self.session {
            Some(session) => session.publish(&self.destination, messages, behind).await,
            None => Err(unavailable("not connected")),
        }
    }

    /// After a failure of the connection a new one is made; a message that was refused says nothing against it.
    fn end_session_after<T>(&mut self, result: &Result<T, PublishError>) {
        if matches!(result, Err(PublishError::Unavailable { .. })) {
            self.session = None;
        }
    }
}

#[async_trait]
impl Publisher for Jetstream {
    fn name(&self) -> String {
        format!("nats:{}", self.destination.stream)
    }

    async fn resume(&mut self) -> Result<Tail, PublishError> {
        self.last = None;
        let span = tracing::info_span!("annalist.nats", stream = self.destination.stream, stage = "resume");
        let tail = self.connect_and_ask().instrument(span).await;
        self.end_session_after(&tail);
        self.last = tail.as_ref().ok().map(|tail| tail.sequence);
        tail
    }

    async fn publish(&mut self, messages: &[Message]) -> Result<u64, PublishError> {
        let Some(behind) = self.last.take() else { return Err(unavailable("the publisher must resume first")) };
        let span = tracing::debug_span!("annalist.nats", stream = self.destination.stream, stage = "publish", behind);
        let published = self.publish_behind(messages, behind).instrument(span).await;
        self.end_session_after(&published);
        self.last = published.as_ref().ok().copied();
        published
    }
}

impl Destination {
    fn check(&self) -> Result<(), String> {
        subject::check_stream(&self.stream)?;
        subject::check_subject(&self.prefix)
    }

    /// The subject of a message.
    pub(crate) fn subject(&self, message: &Message) -> Result<String, String> {
        let subject = match &self.subject {
            None => subject::of(&self.prefix, message),
            Some(make) => {
                let subject = make(message);
                subject::check_subject(&subject)?;
                let rest = subject.strip_prefix(&self.prefix);
                if !rest.is_some_and(|rest| rest.starts_with('.')) {
                    return Err(format!("its subject `{subject}` does not begin with `{}.`", self.prefix));
                }
                subject
            }
        };
        if subject.len() > SUBJECT_BYTES_MAX {
            return Err(format!("its subject has {} bytes, at most {SUBJECT_BYTES_MAX} are allowed", subject.len()));
        }
        Ok(subject)
    }
}

impl fmt::Debug for Jetstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Destination { stream, prefix, source, .. } = &self.destination;
        let mut debug = f.debug_struct("Jetstream");
        // Not the address: it may hold a password.
        debug.field("stream", stream).field("prefix", prefix).field("source", source);
        debug.field("connected", &self.session.is_some()).finish_non_exhaustive()
    }
}
