//! Setting both up, and ending them.

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing_subscriber::{
    Layer, Registry, filter::FilterFn, filter::LevelFilter, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::{
    error::TelemetryError,
    export,
    logs::{LogFormat, lines},
    spans::{Continuing, Links, is_linked, is_traced},
};

/// What this process tells: log lines on standard error, as JSON unless [`TelemetryBuilder::logs`] says otherwise, and traces by
/// OTLP if there is somewhere to send them.
///
/// Traces are sent over HTTP as Protobuf (`http/protobuf`) when `OTEL_EXPORTER_OTLP_ENDPOINT` or
/// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` says where to, or [`TelemetryBuilder::traces_to`] does. The further variables of the
/// `OpenTelemetry` specification hold: `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`,
/// `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_TIMEOUT`, `OTEL_BSP_*`; `OTEL_SDK_DISABLED=true` and
/// `OTEL_TRACES_EXPORTER=none` send nothing.
///
/// Spans wait in a queue of at most 2,048 and are sent every five seconds; a collector that is away or slow costs spans, never
/// requests.
///
/// ```no_run
/// # use std::time::Duration;
/// # async fn run() -> Result<(), annalist_telemetry::TelemetryError> {
/// let telemetry = annalist_telemetry::Telemetry::of("payments").start()?;
/// // What the process is there for; a service of `annalist-service` takes the telemetry and ends it by itself.
/// telemetry.end(Duration::from_secs(3)).await;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "spans that wait to be sent are lost unless it is ended, by the service or by `end`"]
pub struct Telemetry {
    pub(crate) provider: Option<SdkTracerProvider>,
}

/// What is to be told of a process, before it begins.
#[derive(Clone, Debug)]
#[must_use = "nothing is told until it is started"]
pub struct TelemetryBuilder {
    service: String,
    endpoint: Option<String>,
    logs: LogFormat,
}

impl Telemetry {
    /// The telemetry of the service with this name.
    pub fn of(service: impl Into<String>) -> TelemetryBuilder {
        TelemetryBuilder { service: service.into(), endpoint: None, logs: LogFormat::Json }
    }

    /// Whether traces are sent.
    #[must_use]
    pub const fn sends_traces(&self) -> bool {
        self.provider.is_some()
    }

    /// Sends what still waits to be sent, for so long at most; nothing is sent afterwards. A service does this at its end.
    pub async fn end(&self, within: Duration) {
        let Some(provider) = self.provider.clone() else { return };
        // The SDK waits for its thread, and keeps to the bound itself.
        let ended = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(within)).await;
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, ?within, "spans may be missing: not all could be sent"),
            Err(error) => tracing::warn!(%error, "spans may be missing: their sending ended badly"),
        }
    }
}

impl TelemetryBuilder {
    /// Sends traces there, whatever the variables say: the whole address, such as `http://collector:4318/v1/traces`.
    pub fn traces_to(self, endpoint: impl Into<String>) -> Self {
        Self { endpoint: Some(endpoint.into()), ..self }
    }

    /// Writes log lines in another format than JSON.
    pub fn logs(self, logs: LogFormat) -> Self {
        Self { logs, ..self }
    }

    /// Whether it could be started, as far as its settings go. Nothing is set up.
    ///
    /// # Errors
    /// As [`TelemetryBuilder::start`].
    pub fn check(&self) -> Result<(), TelemetryError> {
        if self.endpoint.is_some() || export::wanted()? {
            export::exporter(self.endpoint.clone())?;
        }
        Ok(())
    }

    /// Sets up what the process tells, from now to its end. Of log lines there are those that the variable `RUST_LOG` wants, and
    /// from `info` up without it.
    ///
    /// # Errors
    /// [`TelemetryError`]: a mistake of configuration, and nothing is set up.
    pub fn start(self) -> Result<Telemetry, TelemetryError> {
        let wanted = self.endpoint.is_some() || export::wanted()?;
        let logs = self.logs;
        let provider = wanted.then(|| self.provider()).transpose()?;
        // An `Option` of a layer would not be told which subscriber it is part of.
        let set_up = match &provider {
            Some(provider) => tracing_subscriber::registry().with(layers(provider)).with(lines(logs)).try_init(),
            None => tracing_subscriber::registry().with(lines(logs)).try_init(),
        };
        set_up.map_err(|_| TelemetryError::Twice)?;
        Ok(Telemetry { provider })
    }

    pub(crate) fn provider(self) -> Result<SdkTracerProvider, TelemetryError> {
        let Self { service, endpoint, .. } = self;
        let mut resource = Resource::builder();
        if !std::env::var("OTEL_SERVICE_NAME").is_ok_and(|name| !name.is_empty()) {
            resource = resource.with_service_name(service);
        }
        let exporter = export::exporter(endpoint)?;
        Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build())
    }
}

/// What makes spans of spans, and links of what says so. For tests of what is sent: [`TelemetryBuilder::start`] does it.
pub fn layers(provider: &SdkTracerProvider) -> impl Layer<Registry> + use<> {
    let only =
        |wanted: fn(&tracing::Metadata<'_>) -> bool| FilterFn::new(wanted).with_max_level_hint(LevelFilter::DEBUG);
    let spans = tracing_opentelemetry::layer()
        .with_tracer(Continuing(provider.tracer("annalist")))
        .with_context_activation(false)
        .with_tracked_inactivity(false)
        .with_threads(false)
        .with_location(false)
        .with_target(false);
    spans.with_filter(only(is_traced)).and_then(Links::default().with_filter(only(is_linked)))
}
