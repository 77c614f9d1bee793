//! How a client is to behave.

use std::time::Duration;

use serde::{Deserialize, Serialize};

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
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self { connect_timeout: limits::CONNECT_TIMEOUT, call_timeout: limits::CALL_TIMEOUT }
    }
}
