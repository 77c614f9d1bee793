//! The HTTP API of a service and its `OpenAPI` document, made of the same list of routes and the same handlers: neither has
//! what the other has not, and bodies are described by the types that are read and written.

use annalist_service::architecture::Route;
use axum::{
    Json, Router,
    handler::Handler,
    http::Method,
    routing::{MethodFilter, get, on},
};
use serde_json::{Map, Value, json};

use super::described::{Described, Schemas};

/// The routes of a service, each with what it does.
#[derive(Debug)]
pub struct Api<S> {
    router: Router<S>,
    paths: Map<String, Value>,
    schemas: Schemas,
}

impl<S: Clone + Send + Sync + 'static> Api<S> {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self { router: Router::new(), paths: Map::new(), schemas: Schemas::default() }
    }

    /// Something that can be asked for.
    #[must_use]
    pub fn get<T, A, H>(self, path: &str, summary: &str, handler: H) -> Self
    where
        T: 'static,
        H: Handler<T, S> + Described<A>,
    {
        self.route((MethodFilter::GET, Method::GET), path, summary, handler)
    }

    /// Something that can be had done, once for each `Idempotency-Key`.
    #[must_use]
    pub fn post<T, A, H>(self, path: &str, summary: &str, handler: H) -> Self
    where
        T: 'static,
        H: Handler<T, S> + Described<A>,
    {
        self.route((MethodFilter::POST, Method::POST), path, summary, handler)
    }

    /// Something that can be put in place.
    #[must_use]
    pub fn put<T, A, H>(self, path: &str, summary: &str, handler: H) -> Self
    where
        T: 'static,
        H: Handler<T, S> + Described<A>,
    {
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
        let problem = json!({
            "type": "object",
            "description": "What went wrong (RFC 9457); some kinds say more",
            "properties": {
                "type": { "type": "string", "description": "By which kinds of problems are told apart" },
                "title": { "type": "string" },
                "status": { "type": "integer" },
                "detail": { "type": "string", "description": "What happened this time" },
            },
            "required": ["type", "title", "status"],
        });
        let problems = json!({
            "description": "What went wrong",
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
        });
        let mut schemas = self.schemas.into_map();
        schemas.insert("Problem".to_owned(), problem);
        let document = json!({
            "openapi": "3.1.0",
            "info": { "title": service, "version": "v1" },
            "servers": [{ "url": "/v1" }],
            "paths": self.paths,
            "components": { "schemas": schemas, "responses": { "Problem": problems } },
        });
        self.router.with_state(state).route("/openapi.json", get(async move || Json(document)))
    }

    fn route<T, A, H>(mut self, (filter, method): (MethodFilter, Method), path: &str, summary: &str, handler: H) -> Self
    where
        T: 'static,
        H: Handler<T, S> + Described<A>,
    {
        let said = H::described(&mut self.schemas);
        let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let parameter = |name: &str, place: &str, schema: Value| json!({ "name": name, "in": place, "required": true, "schema": schema });
        let mut parameters: Vec<_> =
            names.zip(said.path).map(|(name, schema)| parameter(name, "path", schema)).collect();
        parameters.extend(said.headers.iter().map(|name| parameter(name, "header", json!({ "type": "string" }))));
        let content = |schema| json!({ "application/json": { "schema": schema } });
        let mut answer = json!({ "description": summary });
        if let (Some(schema), Some(answer)) = (said.answer, answer.as_object_mut()) {
            answer.insert("content".to_owned(), content(schema));
        }
        let mut operation = json!({
            "summary": summary,
            "parameters": parameters,
            "responses": { said.status: answer, "default": { "$ref": "#/components/responses/Problem" } },
        });
        if let (Some(schema), Some(operation)) = (said.body, operation.as_object_mut()) {
            operation.insert("requestBody".to_owned(), json!({ "required": true, "content": content(schema) }));
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
