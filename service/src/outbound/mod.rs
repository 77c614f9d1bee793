//! Calls to other services, each within what keeps a dependency's trouble from becoming this service's.

mod answer;
mod error;
mod settings;

mod attempt;
mod retry;
mod transport;

mod builder;
mod client;
mod registry;

#[cfg(test)]
mod tests;

pub use answer::Answer;
pub use builder::{BuildError, ClientBuilder, NoBreaker, NoBulkhead, NoFallback, NoRetryBudget, NoTimeout, Settled};
pub use client::{CallBuilder, OutboundClient};
pub use error::CallError;
pub use registry::{ClientDescription, ClientStatus, Clients};
pub use settings::{Bulkhead, Fallback, Missed, RetryBudget, Timeouts};
