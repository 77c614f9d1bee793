//! What an inbox's things at the broker are called. The names never change: the broker remembers by them.

use crate::subject::{check_stream, check_subject};

/// Where an inbox's dead letters are, and from where they are replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) inbox: String,
    pub(crate) dead_stream: String,
    pub(crate) dead_subject: String,
    pub(crate) replay_stream: String,
    pub(crate) replay_subject: String,
    /// The subjects that those streams take, of all inboxes of the service.
    pub(crate) dead_subjects: String,
    pub(crate) replay_subjects: String,
}

impl Names {
    /// The names for an inbox of the service `context`.
    pub(crate) fn new(context: &str, inbox: &str) -> Result<Self, String> {
        check_stream(inbox).map_err(|why| format!("the inbox's name is a durable consumer's: {why}"))?;
        check_stream(context)?;
        check_subject(context)?;
        let (lower, upper) = (context.to_ascii_lowercase(), context.to_ascii_uppercase());
        Ok(Self {
            inbox: inbox.to_owned(),
            dead_stream: format!("DLQ_{upper}"),
            dead_subject: format!("dlq.{lower}.{inbox}"),
            replay_stream: format!("REPLAY_{upper}"),
            replay_subject: format!("replay.{lower}.{inbox}"),
            dead_subjects: format!("dlq.{lower}.>"),
            replay_subjects: format!("replay.{lower}.>"),
        })
    }
}
