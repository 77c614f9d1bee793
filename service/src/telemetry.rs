//! What a service tells those who run it: log lines, and traces if there is somewhere to send them.

pub use annalist_telemetry::{JsonLines, LogFormat, Telemetry, TelemetryBuilder, TelemetryError, init_logs};
pub(crate) use annalist_telemetry::{PROBE, current, trace_of};

/// The bounds of histograms of durations, in seconds: from a millisecond, which is a sync of a quick disk, to ten seconds,
/// after which a request is given up; the 100 ms that a synchronous call between services may take is one of them.
pub(crate) fn seconds() -> impl Iterator<Item = f64> {
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0].into_iter()
}
