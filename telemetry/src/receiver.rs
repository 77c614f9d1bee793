//! A receiver of OTLP, for tests of what is sent.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
};
use prost::Message as _;
use tokio::{net::TcpListener, task::JoinHandle};

/// A span as it was received.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Span {
    /// The service that it is of.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Of which kind it is: 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: i32,
    /// Its trace, as hexadecimal digits.
    pub trace: String,
    /// Its id, as hexadecimal digits.
    pub id: String,
    /// The id of the span that it is a child of; empty when there is none.
    pub parent: String,
    /// What it is linked to: traces and spans.
    pub links: Vec<(String, String)>,
    /// Whether it is an error.
    pub failed: bool,
    fields: Vec<(String, String)>,
}

impl Span {
    /// What a field says, if it is text or a number.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether it has no parent.
    #[must_use]
    pub const fn is_root(&self) -> bool {
        self.parent.is_empty()
    }

    /// Whether it is linked to another.
    #[must_use]
    pub fn is_linked_to(&self, other: &Self) -> bool {
        self.links.contains(&(other.trace.clone(), other.id.clone()))
    }

    /// Whether another is its parent.
    #[must_use]
    pub fn is_child_of(&self, other: &Self) -> bool {
        (&self.trace, &self.parent) == (&other.trace, &other.id)
    }
}

/// What was received.
#[derive(Clone, Debug)]
pub struct Receiver {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
    _serving: Arc<Serving>,
}

#[derive(Debug)]
struct Serving(JoinHandle<()>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Receiver {
    /// Takes requests of exporters in, on loopback, as long as it is there. Must be called within a Tokio runtime.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start() -> Self {
        let spans = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("it has an address");
        let routes = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&spans));
        let serving =
            tokio::spawn(async move { axum::serve(listener, routes).await.expect("it serves until the end") });
        Self { address, spans, _serving: Arc::new(Serving(serving)) }
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` says of it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that were received.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Those of a service with this name of which this is true.
    pub fn all(&self, service: &str, name: &str, wanted: impl Fn(&Span) -> bool) -> Vec<Span> {
        let is_it = |span: &Span| span.service == service && span.name == name && wanted(span);
        self.spans().into_iter().filter(is_it).collect()
    }

    /// The only one of a service with this name of which this is true.
    ///
    /// # Panics
    /// When there is another, or none.
    #[track_caller]
    pub fn one(&self, service: &str, name: &str, wanted: impl Fn(&Span) -> bool) -> Span {
        let mut found = self.all(service, name, wanted);
        let of_service: Vec<_> = self.all(service, name, |_| true);
        assert_eq!(found.len(), 1, "`{name}` of {service}: {found:#?} of {of_service:#?}");
        found.remove(0)
    }
}

async fn take(State(spans): State<Arc<Mutex<Vec<Span>>>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if headers.get(CONTENT_TYPE).is_none_or(|kind| kind != "application/x-protobuf") {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE;
    }
    let Ok(request) = ExportTraceServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
    let mut spans = spans.lock().unwrap_or_else(PoisonError::into_inner);
    for of_resource in request.resource_spans {
        let attributes = fields(of_resource.resource.unwrap_or_default().attributes);
        let service = attributes.into_iter().find(|(name, _)| name == "service.name");
        let service = service.map(|(_, name)| name).unwrap_or_default();
        let of_scopes = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        spans.extend(of_scopes.map(|span| Span {
            service: service.clone(),
            name: span.name,
            kind: span.kind,
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
            // 2 is an error.
            failed: span.status.is_some_and(|status| status.code == 2),
            fields: fields(span.attributes),
        }));
    }
    StatusCode::OK
}

fn fields(attributes: Vec<KeyValue>) -> Vec<(String, String)> {
    let text = |value| match value {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    };
    attributes.into_iter().filter_map(|field| Some((field.key, text(field.value?.value?)?))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}
