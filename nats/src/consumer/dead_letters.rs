//! Dead letters: listed, shown, replayed, discarded.

use std::fmt;

use annalist::inbox::{ConsumeError, DeadLetter, DeadLetters};
use async_nats::jetstream::{
    message::{PublishMessage, StreamMessage},
    stream::{LastRawMessageErrorKind, RawMessageError, Stream},
};
use async_trait::async_trait;
use tokio::sync::Mutex;

use super::{durable, letter, names::Names};
use crate::{
    connection::{Connection, Reach, Trouble},
    limits::IN_FLIGHT_MAX,
};

/// The dead letters of one inbox, in the stream `DLQ_…` of its service. It connects when it is first asked.
pub struct JetstreamDeadLetters {
    reach: Reach,
    names: Result<Names, String>,
    connection: Mutex<Option<Connection>>,
}

impl JetstreamDeadLetters {
    pub(crate) fn new(reach: Reach, names: Result<Names, String>) -> Self {
        Self { reach, names, connection: Mutex::new(None) }
    }

    fn names(&self) -> Result<&Names, Trouble> {
        self.names.as_ref().map_err(|why| Trouble::Misconfigured(why.clone()))
    }

    async fn connection(&self) -> Result<Connection, Trouble> {
        let name = format!("annalist dead letters {}", self.names()?.inbox);
        let mut kept = self.connection.lock().await;
        if let Some(connection) = kept.as_ref().filter(|connection| !connection.is_lost()) {
            return Ok(connection.clone());
        }
        Ok(kept.insert(Connection::open(&self.reach, &name, IN_FLIGHT_MAX).await?).clone())
    }

    /// The stream; `None` if nothing ever died.
    async fn stream(&self) -> Result<Option<Stream>, Trouble> {
        durable::find_stream(&self.connection().await?.context, &self.names()?.dead_stream).await
    }

    async fn list(&self, after: u64, limit: usize) -> Result<Vec<DeadLetter>, Trouble> {
        let (mut letters, mut from) = (Vec::new(), after.saturating_add(1));
        let Some(stream) = self.stream().await? else { return Ok(letters) };
        while letters.len() < limit {
            let stored = stream.get_first_raw_message_by_subject(&self.names()?.dead_subject, from).await;
            let Some(stored) = found(stored)? else { break };
            from = stored.sequence.saturating_add(1);
            letters.extend(letter::decode(&stored));
        }
        Ok(letters)
    }

    /// The dead letter of this number as it is stored, if it is one of this inbox.
    async fn stored(&self, stream: &Stream, number: u64) -> Result<Option<StreamMessage>, Trouble> {
        let names = self.names()?;
        let stored = found(stream.get_raw_message(number).await)?;
        Ok(stored.filter(|stored| stored.subject.as_str() == names.dead_subject))
    }

    async fn get(&self, number: u64) -> Result<Option<DeadLetter>, Trouble> {
        let Some(stream) = self.stream().await? else { return Ok(None) };
        Ok(self.stored(&stream, number).await?.as_ref().and_then(letter::decode))
    }

    async fn replay(&self, number: u64) -> Result<bool, Trouble> {
        let (connection, names) = (self.connection().await?, self.names()?);
        let Some(stream) = self.stream().await? else { return Ok(false) };
        let Some(stored) = self.stored(&stream, number).await? else { return Ok(false) };
        durable::replay_stream(&connection.context, names, &self.reach.options).await?;
        let again = PublishMessage::build().headers(letter::replayed(&stored.headers, number)).payload(stored.payload);
        let again = again.expected_stream(&names.replay_stream);
        let sent = connection.context.send_publish(names.replay_subject.clone(), again).await;
        sent.map_err(Trouble::unavailable)?.await.map_err(Trouble::unavailable)?;
        // Only now: whoever is interrupted here replays it again, and the broker knows it.
        delete(&stream, number).await?;
        Ok(true)
    }

    async fn discard(&self, number: u64) -> Result<bool, Trouble> {
        let Some(stream) = self.stream().await? else { return Ok(false) };
        if self.stored(&stream, number).await?.is_none() {
            return Ok(false);
        }
        delete(&stream, number).await.map(|()| true)
    }
}

async fn delete(stream: &Stream, number: u64) -> Result<(), Trouble> {
    stream.delete_message(number).await.map(|_| ()).map_err(Trouble::unavailable)
}

fn found(stored: Result<StreamMessage, RawMessageError>) -> Result<Option<StreamMessage>, Trouble> {
    match stored {
        Ok(stored) => Ok(Some(stored)),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(Trouble::unavailable(error)),
    }
}

#[async_trait]
impl DeadLetters for JetstreamDeadLetters {
    async fn list(&self, after: u64, limit: usize) -> Result<Vec<DeadLetter>, ConsumeError> {
        Ok(self.list(after, limit).await?)
    }

    async fn get(&self, number: u64) -> Result<Option<DeadLetter>, ConsumeError> {
        Ok(self.get(number).await?)
    }

    async fn replay(&self, number: u64) -> Result<bool, ConsumeError> {
        Ok(self.replay(number).await?)
    }

    async fn discard(&self, number: u64) -> Result<bool, ConsumeError> {
        Ok(self.discard(number).await?)
    }
}

impl fmt::Debug for JetstreamDeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JetstreamDeadLetters").field("names", &self.names).finish_non_exhaustive()
    }
}
