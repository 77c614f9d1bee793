//! What is wrong with the configuration of telemetry.

/// Why there is no telemetry. Each is a mistake of configuration: nothing that comes and goes, such as a collector that is
/// away, is one of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// Another protocol than the one that is spoken is asked for.
    #[error("traces cannot be sent by `{protocol}`: set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf (port 4318)")]
    Protocol {
        /// The one that is asked for.
        protocol: String,
    },
    /// Spans cannot be sent as the variables or the builder say.
    #[error("traces cannot be sent as configured: {0}")]
    Exporter(String),
    /// It was not started within a Tokio runtime, which does the sending.
    #[error("telemetry must be started within a Tokio runtime")]
    NoRuntime,
    /// The program has set up `tracing` before.
    #[error("the program has a subscriber of `tracing` already")]
    Twice,
}
