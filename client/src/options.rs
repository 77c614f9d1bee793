//! How a client is to behave.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use tonic::metadata::{Ascii, MetadataValue};

use crate::limits;

/// Settings of a [`RemoteStore`](crate::RemoteStore). Everything has a default that is right for most.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RemoteOptions {
    /// How long a connection may take to be made. Default: 3 s. Since 0.1.
    pub connect_timeout: Duration,
    /// How long a call may take, repetitions included. Subscriptions have no such limit: they wait for the server to come back.
    /// Default: 10 s. Since 0.1.
    pub call_timeout: Duration,
    /// The key that the server asks for, if it does. Never logged. Default: none. Since 0.1.
    pub key: Option<ApiKey>,
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
        Self { connect_timeout: limits::CONNECT_TIMEOUT, call_timeout: limits::CALL_TIMEOUT, key: None }
    }
}
