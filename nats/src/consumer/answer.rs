//! The answer to one message.

use std::time::Duration;

use annalist::inbox::{Answer, ConsumeError, Death};
use async_nats::{
    HeaderMap,
    jetstream::{
        AckKind,
        context::Context,
        message::{Acker, PublishMessage},
    },
};
use async_trait::async_trait;
use bytes::Bytes;

use super::letter::{self, Origin};
use crate::connection::Trouble;

pub(crate) struct JetstreamAnswer {
    pub(crate) context: Context,
    pub(crate) acker: Acker,
    pub(crate) inbox: &'static str,
    pub(crate) dead_stream: String,
    pub(crate) dead_subject: String,
    pub(crate) origin: Origin,
    pub(crate) headers: HeaderMap,
    pub(crate) data: Bytes,
}

impl JetstreamAnswer {
    async fn say(&self, kind: AckKind) -> Result<(), ConsumeError> {
        Ok(self.acker.ack_with(kind).await.map_err(Trouble::unavailable)?)
    }

    async fn bury(&self, death: &Death) -> Result<(), Trouble> {
        let headers = letter::encode(&self.headers, self.inbox, death, &self.origin);
        let letter = PublishMessage::build().headers(headers).payload(self.data.clone());
        let letter = letter.expected_stream(&self.dead_stream);
        let stored = self.context.send_publish(self.dead_subject.clone(), letter).await;
        stored.map_err(Trouble::unavailable)?.await.map_err(Trouble::unavailable)?;
        // Whoever sees the dead letter must not see the message again beside it: the broker confirms.
        self.acker.double_ack_with(AckKind::Term).await.map_err(Trouble::unavailable)
    }
}

#[async_trait]
impl Answer for JetstreamAnswer {
    /// Not confirmed: a note that gets lost costs a repetition, which is recognised.
    async fn ack(&self) -> Result<(), ConsumeError> {
        self.say(AckKind::Ack).await
    }

    async fn nak(&self, delay: Duration) -> Result<(), ConsumeError> {
        self.say(AckKind::Nak((!delay.is_zero()).then_some(delay))).await
    }

    async fn working(&self) -> Result<(), ConsumeError> {
        self.say(AckKind::Progress).await
    }

    async fn dead(&self, death: &Death) -> Result<(), ConsumeError> {
        Ok(self.bury(death).await?)
    }
}
