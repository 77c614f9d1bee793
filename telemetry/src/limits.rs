//! Every default of telemetry, with its reason.

use std::time::Duration;

/// How long one batch of spans may take to be sent, unless `OTEL_EXPORTER_OTLP_TIMEOUT` says otherwise: what the
/// specification has.
pub(crate) const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);
