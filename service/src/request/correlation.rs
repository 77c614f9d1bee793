//! What holds a conversation together across services.

use std::{fmt, sync::Arc};

use annalist::Env;

use crate::limits::CORRELATION_ID_BYTES_MAX;

/// The id of a conversation: from its caller if that sent a well-formed one, otherwise made here. It stands in log lines,
/// headers and events, so nothing but ASCII letters, digits, `.`, `_` and `-` is let in.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CorrelationId(Arc<str>);

impl CorrelationId {
    /// Takes what somebody sent, if it is well-formed: 1 to 128 of `A-Z a-z 0-9 . _ -`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let well_formed = (1..=CORRELATION_ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed);
        well_formed.then(|| Self(text.into()))
    }

    /// A new one.
    #[must_use]
    pub fn mint(env: &dyn Env) -> Self {
        Self(env.new_id().to_string().into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CorrelationId({})", self.0)
    }
}
