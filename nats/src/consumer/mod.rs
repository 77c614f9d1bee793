//! The consumer.

mod answer;
mod dead_letters;
mod durable;
mod letter;
mod names;

use std::{fmt, time::Duration};

use annalist::inbox::{ConsumeError, Consumer, Delivered, Terms};
use async_nats::jetstream::{
    self,
    consumer::{DeliverPolicy, pull},
};
use async_trait::async_trait;
use futures_util::StreamExt;
use tokio::time::timeout;
use tracing::Instrument;

use self::{answer::JetstreamAnswer, durable::Pull, letter::Origin};
use crate::{
    cloudevents,
    connection::{Connection, Reach, Trouble},
    limits::{IN_FLIGHT_MAX, PULL_EXPIRY, PULL_HEARTBEAT},
    options::{Credentials, JetstreamOptions},
    subject,
};

pub use dead_letters::JetstreamDeadLetters;
pub(crate) use names::Names;

/// A JetStream stream as the source of an inbox: a durable pull consumer with the inbox's name.
///
/// Nothing is connected until the inbox does. The stream belongs to the service that publishes to it, and is waited for
/// until that has made it. What the inbox needs besides is made if it is not there: its consumer; the stream
/// `DLQ_<CONTEXT>` for dead letters (subjects `dlq.<context>.<inbox>`); the stream `REPLAY_<CONTEXT>` for those that are
/// to be handled once more. What is there already and does not fit is refused, with the difference.
///
/// At each connect the broker is told to deliver anew from the oldest message that is not acknowledged, in order: nothing
/// overtakes what an earlier process held when it was killed. That takes nats-server 2.14 or later.
pub struct JetstreamConsumer {
    source: Source,
    session: Option<Session>,
}

/// What is consumed, and from where.
pub(crate) struct Source {
    pub(crate) reach: Reach,
    pub(crate) stream: String,
    filters: Vec<String>,
    context: Option<String>,
    deliver_policy: DeliverPolicy,
}

struct Session {
    connection: Connection,
    inbox: &'static str,
    names: Names,
    deliveries: Option<(pull::Stream, pull::Stream)>,
}

impl JetstreamConsumer {
    /// Consumes the stream `EVENTS` of the broker at an address such as `nats://localhost:4222`; of a cluster, several
    /// addresses with commas between.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        let source = Source {
            reach: Reach::at(url.into()),
            stream: "EVENTS".to_owned(),
            filters: Vec::new(),
            context: None,
            deliver_policy: DeliverPolicy::All,
        };
        Self { source, session: None }
    }

    /// Consumes this stream of another service.
    #[must_use]
    pub fn stream(mut self, name: impl Into<String>) -> Self {
        self.source.stream = name.into();
        self
    }

    /// Consumes only these subjects of the stream, for example `ev.payments.payment.>`; may be called several times.
    #[must_use]
    pub fn filter(mut self, subject: impl Into<String>) -> Self {
        self.source.filters.push(subject.into());
        self
    }

    /// The name of the service that consumes, for example `orders`: dead letters of all its inboxes are kept in one stream,
    /// `DLQ_ORDERS`. Without it each inbox has one of its own, `DLQ_<INBOX>`.
    #[must_use]
    pub fn context(mut self, name: impl Into<String>) -> Self {
        self.source.context = Some(name.into());
        self
    }

    /// When the inbox first connects, begins with what is published from then on, instead of all that the stream holds.
    #[must_use]
    pub fn from_now(mut self) -> Self {
        self.source.deliver_policy = DeliverPolicy::New;
        self
    }

    /// Who the consumer is to the broker.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.source.reach.credentials = credentials;
        self
    }

    /// Works with other options.
    #[must_use]
    pub fn options(mut self, options: JetstreamOptions) -> Self {
        self.source.reach.options = options;
        self
    }

    /// The dead letters of an inbox that consumes from here.
    #[must_use]
    pub fn dead_letters(&self, inbox: &str) -> JetstreamDeadLetters {
        JetstreamDeadLetters::new(self.source.reach.clone(), self.source.names(inbox))
    }

    pub(crate) const fn source(&self) -> &Source {
        &self.source
    }

    async fn begin(&mut self, terms: &Terms) -> Result<(), Trouble> {
        let source = &self.source;
        let names = source.check(terms.inbox).map_err(Trouble::Misconfigured)?;
        // The old deliveries end before anything is delivered anew.
        let kept = self.session.take().map(|session| session.connection).filter(|connection| !connection.is_lost());
        let connection = if let Some(connection) = kept {
            connection
        } else {
            let name = format!("annalist inbox {}", terms.inbox);
            Connection::open(&source.reach, &name, IN_FLIGHT_MAX).await?
        };
        let lost = connection.lost();
        let began = tokio::select! {
            biased;
            began = source.deliver(&connection, terms, &names) => began,
            () = lost => Err(Trouble::unavailable("the connection was lost")),
        };
        let (deliveries, failed) = match began {
            Ok(deliveries) => (Some(deliveries), None),
            Err(trouble) => (None, Some(trouble)),
        };
        self.session = Some(Session { connection, inbox: terms.inbox, names, deliveries });
        failed.map_or(Ok(()), Err)
    }
}

impl Source {
    pub(crate) fn names(&self, inbox: &str) -> Result<Names, String> {
        Names::new(self.context.as_deref().unwrap_or(inbox), inbox)
    }

    fn check(&self, inbox: &str) -> Result<Names, String> {
        subject::check_stream(&self.stream)?;
        self.names(inbox)
    }

    /// Makes what is missing and begins to deliver anew: what is new, and what is replayed.
    async fn deliver(
        &self,
        connection: &Connection,
        terms: &Terms,
        names: &Names,
    ) -> Result<(pull::Stream, pull::Stream), Trouble> {
        let (context, options) = (&connection.context, &self.reach.options);
        let Some(stream) = durable::find_stream(context, &self.stream).await? else {
            let name = &self.stream;
            let detail = format!("the stream {name} does not exist yet; the service that publishes to it makes it");
            return Err(Trouble::Unavailable(detail));
        };
        durable::dead_stream(context, names, options).await?;
        let replayed = durable::replay_stream(context, names, options).await?;
        let main = durable::wanted(terms, &self.filters, self.deliver_policy);
        let main = begin(durable::consumer(&stream, main).await?, terms, terms.from).await?;
        let again = durable::wanted(terms, std::slice::from_ref(&names.replay_subject), DeliverPolicy::All);
        let again = begin(durable::consumer(&replayed, again).await?, terms, None).await?;
        Ok((main, again))
    }
}

/// Delivers anew from the oldest message that is not acknowledged, or from one before it.
async fn begin(mut consumer: Pull, terms: &Terms, from: Option<u64>) -> Result<pull::Stream, Trouble> {
    let acknowledged = consumer.cached_info().ack_floor.stream_sequence;
    consumer.reset(from.filter(|from| *from <= acknowledged)).await.map_err(|error| {
        Trouble::unavailable(format!("the consumer cannot be reset, which takes nats-server 2.14 or later: {error}"))
    })?;
    let pulled = consumer.stream().max_messages_per_batch(terms.in_flight_max).expires(PULL_EXPIRY);
    pulled.heartbeat(PULL_HEARTBEAT).messages().await.map_err(Trouble::unavailable)
}

impl Session {
    async fn next(&mut self) -> Result<Delivered, Trouble> {
        let gone = || Trouble::unavailable("connect first");
        let (main, again) = self.deliveries.as_mut().ok_or_else(gone)?;
        let delivered = tokio::select! {
            delivered = main.next() => delivered,
            delivered = again.next() => delivered,
            () = self.connection.lost() => return Err(Trouble::unavailable("the connection was lost")),
        };
        match delivered {
            Some(Ok(message)) => self.delivered(message),
            Some(Err(error)) => Err(Trouble::unavailable(error)),
            None => Err(Trouble::unavailable("the broker has ended the delivery")),
        }
    }

    fn delivered(&self, message: jetstream::Message) -> Result<Delivered, Trouble> {
        let info = message.info().map_err(Trouble::unavailable)?;
        let (deliveries, behind) = (u32::try_from(info.delivered).unwrap_or(u32::MAX), info.pending);
        let origin = Origin { stream: info.stream.to_owned(), sequence: info.stream_sequence };
        let sequence = (origin.stream != self.names.replay_stream).then_some(origin.sequence);
        let (message, acker) = message.split();
        let (headers, data) = (message.headers.unwrap_or_default(), message.payload);
        let message = cloudevents::decode(&headers, &data);
        let answer = Box::new(JetstreamAnswer {
            context: self.connection.context.clone(),
            acker,
            inbox: self.inbox,
            dead_stream: self.names.dead_stream.clone(),
            dead_subject: self.names.dead_subject.clone(),
            origin,
            headers,
            data,
        });
        Ok(Delivered { message, deliveries, behind, sequence, answer })
    }
}

#[async_trait]
impl Consumer for JetstreamConsumer {
    fn name(&self) -> String {
        format!("nats:{}", self.source.stream)
    }

    async fn connect(&mut self, terms: &Terms) -> Result<(), ConsumeError> {
        let span = tracing::info_span!("annalist.nats", stream = self.source.stream, stage = "connect");
        Ok(self.begin(terms).instrument(span).await?)
    }

    async fn next(&mut self) -> Result<Delivered, ConsumeError> {
        match &mut self.session {
            Some(session) => Ok(session.next().await?),
            None => Err(ConsumeError::Unavailable { detail: "connect first".to_owned() }),
        }
    }

    async fn close(&mut self) {
        let Some(Session { connection, deliveries, .. }) = self.session.take() else { return };
        drop(deliveries);
        // Answers that do not arrive make messages come again, no more.
        if timeout(CLOSE_TIMEOUT, connection.client.flush()).await.is_err() {
            tracing::warn!("the broker did not take the last answers in time");
        }
    }
}

/// How long the last answers may take to be sent.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

impl fmt::Debug for JetstreamConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Source { stream, filters, context, .. } = &self.source;
        let mut debug = f.debug_struct("JetstreamConsumer");
        // Not the address: it may hold a password.
        debug.field("stream", stream).field("filters", filters).field("context", context);
        debug.field("connected", &self.session.is_some()).finish_non_exhaustive()
    }
}
