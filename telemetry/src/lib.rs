//! What a process tells those who run it: log lines, and traces if there is somewhere to send them.
//!
//! Services and the server of a store set it up with [`Telemetry`]; `docs/spans.md` in the repository is the contract between the
//! spans of Annalist and what is sent.

mod clock;
mod error;
mod limits;

mod export;
mod spans;

mod logs;

mod setup;

#[cfg(feature = "receiver")]
pub mod receiver;

pub use error::TelemetryError;
pub use logs::{JsonLines, LogFormat, init_logs};
#[doc(hidden)]
pub use setup::layers;
pub use setup::{Telemetry, TelemetryBuilder};
pub use spans::{PROBE, current, trace_id, trace_of};

#[cfg(test)]
mod tests;
