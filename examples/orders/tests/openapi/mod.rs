//! What services say, held to what their `OpenAPI` documents say that they say.

use std::{fs, process::Output};

use annalist_service::outbound::OutboundClient;
use serde_json::{Value, json};

use crate::deployed::python;

/// A route, its parameter, and what is sent there.
pub struct Sample {
    pub service: &'static str,
    pub method: &'static str,
    pub path: &'static str,
    pub parameter: &'static str,
    pub body: Option<Value>,
}

/// A sample of something to be asked for.
pub fn get(service: &'static str, path: &'static str, parameter: &'static str) -> Sample {
    Sample { service, method: "get", path, parameter, body: None }
}

impl Sample {
    /// Sends it, or something else, and returns what was said as `check.py` reads it.
    pub async fn exchange(&self, client: &OutboundClient, parameter: &str, body: Option<&Value>, key: &str) -> Value {
        let path = format!("/v1{}", self.path);
        let path = path.split('/').map(|part| if part.starts_with('{') { parameter } else { part });
        let path = path.collect::<Vec<_>>().join("/");
        let call = client.call(self.method.to_uppercase().parse().unwrap(), &path).idempotency_key(key);
        let call = if let Some(body) = body { call.json(body) } else { call };
        let answer = call.send().await.unwrap();
        let media = answer.headers().get("content-type").map(|media| media.to_str().unwrap().to_owned());
        json!({
            "method": self.method,
            "path": self.path,
            "status": answer.status().as_u16(),
            "media": media,
            "request": body,
            "answer": answer.read::<Value>().ok(),
        })
    }
}

/// Holds what was said to a document.
pub fn check(document: &Value, exchanges: &[Value]) -> Output {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), json!({ "document": document, "exchanges": exchanges }).to_string()).unwrap();
    python("tools/openapi/check.py").arg(file.path()).output().unwrap()
}
