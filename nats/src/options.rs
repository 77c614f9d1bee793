//! How publishers and consumers reach the broker, as data.

use std::{fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

/// How a publisher or a consumer works with the broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct JetstreamOptions {
    /// How long one attempt to connect to one server may take. Default 5 s. Since 0.1.
    pub connect_timeout: Duration,
    /// How long the broker may take to answer a question, or to acknowledge a whole window. Default 5 s. Since 0.1.
    pub answer_timeout: Duration,
    /// How often a silent connection is tried; after three tries without an answer it counts as lost. Default 5 s.
    /// Since 0.1.
    pub ping_interval: Duration,
    /// The front of the subjects under which the broker answers. Services with permissions of their own have one each, so
    /// that none reads what another is answered; see [`Permissions`](crate::Permissions). Default: `_INBOX`. Since 0.1.
    pub reply_prefix: Option<String>,
    /// The replicas of streams that have to be created. Default 1. Since 0.1.
    pub replicas: usize,
    /// How long the stream remembers the ids of messages, if it has to be created. Not needed against repetition,
    /// which the numbering prevents for ever; the server holds every id of this time in memory. Default 5 s. Since 0.1.
    pub duplicate_window: Duration,
}

impl Default for JetstreamOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(5),
            reply_prefix: None,
            replicas: 1,
            duplicate_window: Duration::from_secs(5),
        }
    }
}

/// Who one is to the broker. Not shown in debug prints.
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Credentials {
    /// Who the address names, `nats://user:password@host` or `nats://token@host`, percent-encoded where need be; nobody in
    /// particular if it names none.
    #[default]
    Anonymous,
    /// A user with a password.
    UserPassword {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A token.
    Token(String),
    /// The seed of an `NKey`.
    Nkey(String),
    /// A `.creds` file with a JWT and a seed; read again at each connect.
    File(PathBuf),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::UserPassword { .. } => "UserPassword(..)",
            Self::Token(_) => "Token(..)",
            Self::Nkey(_) => "Nkey(..)",
            Self::File(_) => "File(..)",
        })
    }
}
