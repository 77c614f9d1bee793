//! How a client is to behave.

use std::{fmt, num::NonZeroU8, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use tonic::metadata::{Ascii, MetadataValue};

use crate::limits;

/// Settings of a [`RemoteStore`](crate::RemoteStore). Everything has a default that is right for most.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RemoteOptions {
    /// How many connections to the server there are, each made when it is first used. With more than one, half of them, rounded up,
    /// are for what is answered soon, appends and short reads; the others for what is long or has no end. Both kinds take turns.
    /// Where client and server have cores to spare, 2 or 4 are worth a try. Default: 1. Since 0.1.
    pub connections: NonZeroU8,
    /// How long a connection may take to be made. Default: 3 s. Since 0.1.
    pub connect_timeout: Duration,
    /// How long a call may take, repetitions included. Subscriptions have no such limit: they wait for the server to come back.
    /// Default: 10 s. Since 0.1.
    pub call_timeout: Duration,
    /// The key that the server asks for, if it does. Never logged. Default: none. Since 0.1.
    pub key: Option<ApiKey>,
    /// The authorities that the server's certificate must come from, a PEM file that is read when the client is made. Default:
    /// none, and those that the system trusts. For `https://` alone. Since 0.1.
    pub ca: Option<PathBuf>,
    /// The certificate that the server asks for, if it does. For `https://` alone. Default: none. Since 0.1.
    pub identity: Option<Identity>,
}

/// A certificate and its private key: PEM files that are read when the client is made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Identity {
    /// The certificate, those of intermediate authorities behind it. Since 0.1.
    pub cert: PathBuf,
    /// Its private key. Since 0.1.
    pub key: PathBuf,
}

impl Identity {
    /// A certificate and its key.
    #[must_use]
    pub fn new(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { cert: cert.into(), key: key.into() }
    }
}

/// A key of a server. It shows itself to nobody.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApiKey(String);

impl ApiKey {
    /// Wraps a key.
    #[must_use]
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// What is sent of it.
    pub(crate) fn header(&self) -> Option<MetadataValue<Ascii>> {
        let mut value = MetadataValue::try_from(format!("Bearer {}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

impl Default for RemoteOptions {
    fn default() -> Self {
        let (connect_timeout, call_timeout) = (limits::CONNECT_TIMEOUT, limits::CALL_TIMEOUT);
        Self { connections: limits::CONNECTIONS, connect_timeout, call_timeout, key: None, ca: None, identity: None }
    }
}
