//! How spans leave: as OTLP over HTTP, in batches, from a thread of the SDK.

use std::{env, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use reqwest::redirect;
use tokio::runtime::Handle;

use crate::{error::TelemetryError, limits::EXPORT_TIMEOUT};

/// Where spans are sent when the builder has not said so, and whether they are: what the variables of the `OpenTelemetry`
/// specification say. No address is a decision too: without one nothing is sent.
pub(crate) fn wanted() -> Result<bool, TelemetryError> {
    let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let off = set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        || set("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
    let endpoint = set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| set("OTEL_EXPORTER_OTLP_ENDPOINT"));
    let protocol = set("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or_else(|| set("OTEL_EXPORTER_OTLP_PROTOCOL"));
    match protocol {
        _ if off || endpoint.is_none() => Ok(false),
        Some(protocol) if protocol != "http/protobuf" => Err(TelemetryError::Protocol { protocol }),
        _ => Ok(true),
    }
}

/// Sends spans to `endpoint`, the whole address, or to where the variables say.
pub(crate) fn exporter(endpoint: Option<String>) -> Result<SpanExporter, TelemetryError> {
    let runtime = Handle::try_current().map_err(|_| TelemetryError::NoRuntime)?;
    let client = Sender { client: client()?, runtime };
    let mut builder = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_http_client(client);
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    builder.build().map_err(|error| TelemetryError::Exporter(error.to_string()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "telemetry is no dependency: it has a time-out, and is dropped when it fails"
)]
fn client() -> Result<reqwest::Client, TelemetryError> {
    let client = reqwest::Client::builder().redirect(redirect::Policy::none()).no_proxy().timeout(timeout());
    client.build().map_err(|error| TelemetryError::Exporter(error.to_string()))
}

/// How long one batch may take, as the variables have it: in milliseconds.
fn timeout() -> Duration {
    let millis = |name: &str| env::var(name).ok()?.parse().ok();
    let said = millis("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT").or_else(|| millis("OTEL_EXPORTER_OTLP_TIMEOUT"));
    said.map_or(EXPORT_TIMEOUT, Duration::from_millis)
}

/// The client of the exporter. Its thread is not one of the runtime's, so the runtime does the sending.
#[derive(Debug)]
struct Sender {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (client, request) = (self.client.clone(), request.try_into()?);
        let sending = self.runtime.spawn(async move {
            let mut answer = client.execute(request).await?;
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = answer.status();
            *response.headers_mut() = std::mem::take(answer.headers_mut());
            // What else a collector says is not read: the status says whether it took the batch.
            Ok::<_, reqwest::Error>(response)
        });
        Ok(sending.await??)
    }
}
