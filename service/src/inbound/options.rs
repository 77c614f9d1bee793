//! What a service lets in, as data.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::{CONCURRENT_REQUESTS_MAX, REQUEST_BODY_BYTES_MAX, REQUEST_TIMEOUT, REQUESTS_PER_SECOND_MAX};

/// What a service lets in. Everything has a default that is right for most.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct InboundOptions {
    /// How long a request may take, unless its caller waits for less; then it is answered with 504. Default: 10 s. Since 0.1.
    pub timeout: Duration,
    /// Requests answered at the same time; more get 503 at once. Default: 512. Since 0.1.
    pub concurrent_max: usize,
    /// Requests a second, and as many at once after a pause; more get 429. Zero: no bound. Default: 5,000. Since 0.1.
    pub per_second_max: u32,
    /// Largest body, in bytes; a larger one gets 413. Default: 1 MiB. Since 0.1.
    pub body_bytes_max: usize,
}

impl Default for InboundOptions {
    fn default() -> Self {
        Self {
            timeout: REQUEST_TIMEOUT,
            concurrent_max: CONCURRENT_REQUESTS_MAX,
            per_second_max: REQUESTS_PER_SECOND_MAX,
            body_bytes_max: REQUEST_BODY_BYTES_MAX,
        }
    }
}
