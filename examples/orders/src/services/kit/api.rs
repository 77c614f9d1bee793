//! The HTTP API of a service and its `OpenAPI` document, made of the same list of routes: neither has what the other has not.

use annalist_service::architecture::Route;
use axum::{
    Json, Router,
    handler::Handler,
    http::Method,
    routing::{MethodFilter, get, on},
};
use serde_json::{Map, Value, json};

/// The routes of a service, each with what it does.
#[derive(Debug)]
pub struct Api<S> {
    router: Router<S>,
    paths: Map<String, Value>,
}

impl<S: Clone + Send + Sync + 'static> Api<S> {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self { router: Router::new(), paths: Map::new() }
    }

    /// Something that can be asked for.
    #[must_use]
    pub fn get<T: 'static>(self, path: &str, summary: &str, handler: impl Handler<T, S>) -> Self {
        self.route((MethodFilter::GET, Method::GET), path, summary, handler)
    }

    /// Something that can be had done, once for each `Idempotency-Key`.
    #[must_use]
    pub fn post<T: 'static>(self, path: &str, summary: &str, handler: impl Handler<T, S>) -> Self {
        self.route((MethodFilter::POST, Method::POST), path, summary, handler)
    }

    /// Something that can be put in place.
    #[must_use]
    pub fn put<T: 'static>(self, path: &str, summary: &str, handler: impl Handler<T, S>) -> Self {
        self.route((MethodFilter::PUT, Method::PUT), path, summary, handler)
    }

    /// The same, with a layer around all routes so far.
    #[must_use]
    pub fn around(self, layer: impl FnOnce(Router<S>) -> Router<S>) -> Self {
        Self { router: layer(self.router), ..self }
    }

    /// What can be asked.
    #[must_use]
    pub fn describe(&self) -> Vec<Route> {
        let route = |path: &str, (method, operation): (&String, &Value)| Route {
            method: method.to_uppercase(),
            path: format!("/v1{path}"),
            summary: operation.get("summary").and_then(Value::as_str).unwrap_or_default().to_owned(),
        };
        let of_path = |(path, operations): (&String, &Value)| {
            let operations = operations.as_object().into_iter().flatten();
            operations.map(|operation| route(path, operation)).collect::<Vec<_>>()
        };
        self.paths.iter().flat_map(of_path).collect()
    }

    /// The router, and with it `/openapi.json`.
    pub fn routes(self, service: &str, state: S) -> Router {
        let problem =
            json!({ "description": "What went wrong (RFC 9457)", "content": { "application/problem+json": {} } });
        let document = json!({
            "openapi": "3.1.0",
            "info": { "title": service, "version": "v1" },
            "servers": [{ "url": "/v1" }],
            "paths": self.paths,
            "components": { "responses": { "Problem": problem } },
        });
        self.router.with_state(state).route("/openapi.json", get(async move || Json(document)))
    }

    fn route<T: 'static>(
        mut self,
        (filter, method): (MethodFilter, Method),
        path: &str,
        summary: &str,
        handler: impl Handler<T, S>,
    ) -> Self {
        let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let mut parameters: Vec<_> = names
            .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
            .collect();
        if method == Method::POST {
            let schema = json!({ "type": "string" });
            parameters.push(json!({ "name": "Idempotency-Key", "in": "header", "required": true, "schema": schema }));
        }
        let mut operation = json!({
            "summary": summary,
            "parameters": parameters,
            "responses": {
                "2XX": { "description": summary },
                "default": { "$ref": "#/components/responses/Problem" },
            },
        });
        if method != Method::GET
            && let Some(operation) = operation.as_object_mut()
        {
            operation.insert("requestBody".to_owned(), json!({ "content": { "application/json": {} } }));
        }
        let operations = self.paths.entry(path).or_insert_with(|| json!({}));
        if let Some(operations) = operations.as_object_mut() {
            operations.insert(method.as_str().to_lowercase(), operation);
        }
        Self { router: self.router.route(path, on(filter, handler)), ..self }
    }
}

impl<S: Clone + Send + Sync + 'static> Default for Api<S> {
    fn default() -> Self {
        Self::new()
    }
}
