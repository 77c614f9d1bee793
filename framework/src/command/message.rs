//! The key of what a message from elsewhere causes: each message is handled once.

use std::fmt::Write;

use annalist_core::{Invalid, Key, NAME_BYTES_MAX};
use sha2::{Digest, Sha256};

/// What stands before the consumer's name in the scope of a message's keys. No stream's name begins with `-`, so these
/// keys are never those of an aggregate. It never changes: redelivered messages are recognised by it.
const KEY_SCOPE_PREFIX: &str = "-inbox/";

/// A message from elsewhere as one of its consumers sees it: what
/// [`Execute::message`](crate::Execute::message) makes the key of a command of, so that a message which is delivered again
/// is handled once.
///
/// ```
/// # use annalist::inbox::InboxMessage;
/// let message = InboxMessage::new("billing", "nats:ORDERS", "7f3a-42");
/// let (first, second) = (message.key()?, message.clone().ordinal(1).key()?);
/// assert_eq!((first.scope(), first.id()), ("-inbox/billing", "0/11:nats:ORDERS/7f3a-42"));
/// assert_ne!(first, second);
/// # Ok::<(), annalist::Invalid>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct InboxMessage {
    consumer: String,
    source: String,
    id: String,
    ordinal: u32,
}

impl InboxMessage {
    /// The message `id` of `source`, as `consumer` handles it. Ids need be unique only within their source: the name of a
    /// topic or stream, the name of a service. Each consumer handles each message once. The names stand in the log for
    /// ever.
    #[must_use]
    pub fn new(consumer: impl Into<String>, source: impl Into<String>, id: impl Into<String>) -> Self {
        Self { consumer: consumer.into(), source: source.into(), id: id.into(), ordinal: 0 }
    }

    /// The command number `ordinal`, from 0, that the consumer makes of the message: a consumer that executes several
    /// numbers them in an order that is the same at each delivery.
    #[must_use]
    pub fn ordinal(self, ordinal: u32) -> Self {
        Self { ordinal, ..self }
    }

    /// The message's own id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key under which what the message causes is recorded. Its scope is `-inbox/<consumer>`, its id
    /// `<ordinal>/<bytes of source>:<source>/<id>`, which no other message has; if that is too long for a key or has
    /// control characters, `<ordinal>/#<hash>` with the SHA-256 of `<bytes of source>:<source>/<id>` in hexadecimal.
    ///
    /// # Errors
    /// [`Invalid`] when the id or a name is empty, so that messages could not be told apart, or the consumer's name cannot
    /// be part of a key.
    pub fn key(&self) -> Result<Key, Invalid> {
        let Self { consumer, source, id, ordinal } = self;
        for (what, name) in [("consumer", consumer), ("source", source), ("message id", id)] {
            if name.is_empty() {
                return Err(Invalid::Empty { what });
            }
        }
        let scope = format!("{KEY_SCOPE_PREFIX}{consumer}");
        let message = format!("{}:{source}/{id}", source.len());
        let plain = format!("{ordinal}/{message}");
        if plain.len() <= NAME_BYTES_MAX && !plain.chars().any(char::is_control) {
            return Key::new(scope, plain);
        }
        let mut hashed = format!("{ordinal}/#");
        for byte in Sha256::digest(&message) {
            // Writing to a string does not fail.
            _ = write!(hashed, "{byte:02x}");
        }
        Key::new(scope, hashed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(source: &str, id: &str) -> String {
        InboxMessage::new("billing", source, id).key().unwrap().id().to_owned()
    }

    #[test]
    fn no_two_messages_have_the_same_key() {
        let ids = [id("a", "b/c"), id("a/b", "c"), id("a", "1/b"), id("1:a", "b"), id("a", "b"), id("a", "#")];
        let all: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(all.len(), ids.len(), "{ids:?}");
        let message = InboxMessage::new("billing", "a", "b");
        assert_ne!(message.key(), message.clone().ordinal(1).key());
        assert_ne!(message.key(), InboxMessage::new("shipping", "a", "b").key());
    }

    #[test]
    fn keys_stay_what_they_were() {
        assert_eq!(id("orders", "42"), "0/6:orders/42");
        // printf '6:orders/a\nb' | sha256sum
        assert_eq!(id("orders", "a\nb"), "0/#f48d80b65921ec36404eb714f09af1e437ec8f32070f1e7959bf15a15f8f1b43");
    }

    #[test]
    fn a_long_id_is_hashed() {
        let longest = "x".repeat(NAME_BYTES_MAX - "0/6:orders/".len());
        assert!(id("orders", &longest).ends_with(&longest));
        let (longer, other) = (id("orders", &format!("{longest}x")), id("orders", &format!("{longest}y")));
        assert_eq!((longer.len(), &longer[..3]), ("0/#".len() + 64, "0/#"));
        assert_ne!(longer, other);
    }

    #[test]
    fn messages_that_cannot_be_told_apart_are_refused() {
        for (consumer, source, id, what) in
            [("", "a", "b", "consumer"), ("a", "", "b", "source"), ("a", "b", "", "message id")]
        {
            assert_eq!(InboxMessage::new(consumer, source, id).key(), Err(Invalid::Empty { what }));
        }
        assert!(InboxMessage::new("a\n", "b", "c").key().is_err());
    }
}
