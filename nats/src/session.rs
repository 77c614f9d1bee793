//! One connection to the broker, from connecting to the first failure.

use annalist::outbox::{Message, PublishError, Tail};
use async_nats::jetstream::{
    ErrorCode,
    context::{GetStreamErrorKind, PublishAckFuture},
    message::PublishMessage,
    stream::{Config, Info, LastRawMessageErrorKind, Stream},
};
use tokio::time::timeout;

use crate::{
    connection::Connection,
    error::{misconfigured, of_publish, unavailable},
    headers,
    jetstream::Destination,
    limits::{HEADER_BYTES_MAX, IN_FLIGHT_MAX},
    subject,
};

/// A publisher's connection.
pub(crate) struct Session(Connection);

impl Session {
    pub(crate) async fn connect(destination: &Destination) -> Result<Self, PublishError> {
        let name = format!("annalist outbox {}", destination.stream);
        // Room for a whole part and for the acknowledgements that a failed one no longer waits for.
        Ok(Self(Connection::open(&destination.reach, &name, 2 * IN_FLIGHT_MAX).await?))
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.0.is_lost()
    }

    /// The tail of the stream, which is created if it does not exist. Both questions go to the stream's leader, so the
    /// answer holds everything that was ever acknowledged.
    pub(crate) async fn tail(&mut self, destination: &Destination) -> Result<Tail, PublishError> {
        tokio::select! {
            biased;
            tail = self.ask_tail(destination) => tail,
            () = self.0.lost() => Err(unavailable("the connection was lost")),
        }
    }

    async fn ask_tail(&self, destination: &Destination) -> Result<Tail, PublishError> {
        let stream = self.stream(destination).await?;
        let Info { config, state, .. } = stream.cached_info();
        let Destination { stream: name, prefix, .. } = destination;
        if !config.subjects.iter().any(|pattern| subject::covers(pattern, prefix)) {
            let detail = format!("the stream {name} exists but does not take `{prefix}.>`; add that to its subjects");
            return Err(unavailable(&detail));
        }
        let sequence = state.last_sequence;
        if sequence == 0 {
            return Ok(Tail::default());
        }
        match stream.get_raw_message(sequence).await {
            Ok(message) => match headers::origin(&message.headers) {
                Some(last) => Ok(Tail { sequence, last: Some(last) }),
                None => Err(misconfigured(format!(
                    "message {sequence} of the stream {name}, its last, was not published by an outbox; nobody else may \
                     publish to it: move the other publisher, or use another stream"
                ))),
            },
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(Tail { sequence, last: None }),
            Err(error) => Err(unavailable(&error)),
        }
    }

    async fn stream(&self, destination: &Destination) -> Result<Stream, PublishError> {
        let Destination { stream: name, prefix, reach, .. } = destination;
        let options = &reach.options;
        match self.0.context.get_stream(name).await {
            Ok(stream) => return Ok(stream),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {}
                _ => return Err(unavailable(&error)),
            },
        }
        let config = Config {
            name: name.clone(),
            subjects: vec![format!("{prefix}.>")],
            description: Some("integration events; an outbox is its only writer".to_owned()),
            num_replicas: options.replicas,
            duplicate_window: options.duplicate_window,
            allow_direct: true,
            ..Config::default()
        };
        tracing::info!(stream = name, subjects = ?config.subjects, "creating the JetStream stream");
        self.0.context.create_stream(config).await.map_err(|error| unavailable(&error))?;
        self.0.context.get_stream(name).await.map_err(|error| unavailable(&error))
    }

    /// Publishes messages behind the message number `behind`; returns the number of the last.
    pub(crate) async fn publish(
        &mut self,
        destination: &Destination,
        messages: &[Message],
        mut behind: u64,
    ) -> Result<u64, PublishError> {
        for part in messages.chunks(IN_FLIGHT_MAX) {
            let published =
                timeout(destination.reach.options.answer_timeout, self.publish_part(destination, part, behind));
            behind = tokio::select! {
                biased;
                result = published => result.unwrap_or_else(|_| Err(unavailable("no acknowledgement in time")))?,
                () = self.0.lost() => return Err(unavailable("the connection was lost")),
            };
        }
        Ok(behind)
    }

    /// Sends all messages, each naming the number of the one before it, then waits for all acknowledgements. One that
    /// cannot be sent ends the part behind those before it.
    async fn publish_part(
        &self,
        destination: &Destination,
        part: &[Message],
        behind: u64,
    ) -> Result<u64, PublishError> {
        let mut acks = Vec::with_capacity(part.len());
        let mut unsent = None;
        for (behind, message) in (behind..).zip(part) {
            match self.send(destination, message, behind).await {
                Ok(ack) => acks.push(ack),
                Err(error) => {
                    unsent = Some(error);
                    break;
                }
            }
        }
        let mut last = behind;
        for (message, ack) in part.iter().zip(acks) {
            let ack = ack.await.map_err(|error| of_publish(&error, message))?;
            last += 1;
            if ack.sequence != last {
                // The stream was emptied by hand a moment ago and the broker still knows the id.
                let detail = format!("message {} is number {}, not {last}", message.id(), ack.sequence);
                return Err(unavailable(&detail));
            }
        }
        unsent.map_or(Ok(last), Err)
    }

    async fn send(
        &self,
        destination: &Destination,
        message: &Message,
        behind: u64,
    ) -> Result<PublishAckFuture, PublishError> {
        let refused = |detail| PublishError::Refused { id: message.id(), detail };
        let subject = destination.subject(message).map_err(refused)?;
        let headers = headers::encode(message, &destination.source, &destination.stream, behind);
        let bytes = headers::byte_count(&headers);
        if bytes > HEADER_BYTES_MAX {
            return Err(refused(format!("its headers have {bytes} bytes, at most {HEADER_BYTES_MAX} are allowed")));
        }
        let publish = PublishMessage::build().payload(message.event.data.clone()).headers(headers);
        self.0.context.send_publish(subject, publish).await.map_err(|error| of_publish(&error, message))
    }
}
