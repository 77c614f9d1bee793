//! Versions of an API, side by side.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use annalist::{Env, Timestamp};
use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};

use crate::problem::Problem;

/// Since when an answer's route is deprecated (RFC 9745).
const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
/// From when on it will be gone (RFC 8594).
const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// One version of an API, whose routes are below its name: `/v1`. A deprecated one says so in each answer (`Deprecation`,
/// `Sunset` and a `Link` to its successor), its use is counted, and after its sunset each answer is 410.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiVersion {
    name: String,
    deprecated: Option<Timestamp>,
    sunset: Option<Timestamp>,
    successor: Option<String>,
}

impl ApiVersion {
    /// A version in use. `name` is the first segment of its paths, such as `v1`.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), deprecated: None, sunset: None, successor: None }
    }

    /// It is deprecated since then, in favour of the version `successor`.
    #[must_use]
    pub fn deprecated(self, since: Timestamp, successor: impl Into<String>) -> Self {
        Self { deprecated: Some(since), successor: Some(successor.into()), ..self }
    }

    /// It is gone from then on.
    #[must_use]
    pub fn sunset(self, at: Timestamp) -> Self {
        Self { sunset: Some(at), ..self }
    }

    /// What its answers say beside what they say.
    fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let seconds = |at: &Timestamp| at.as_micros().div_euclid(1_000_000);
        let deprecated = self.deprecated.as_ref().map(|since| (DEPRECATION, format!("@{}", seconds(since))));
        let date = |at: &Timestamp| {
            let since_1970 = Duration::from_secs(u64::try_from(seconds(at)).unwrap_or_default());
            httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since_1970)
        };
        let sunset = self.sunset.as_ref().map(|at| (SUNSET, date(at)));
        let link = self.successor.as_ref().map(|name| (header::LINK, format!("</{name}>; rel=\"successor-version\"")));
        let said = deprecated.into_iter().chain(sunset).chain(link);
        said.filter_map(|(name, value)| Some((name, HeaderValue::from_str(&value).ok()?))).collect()
    }
}

/// Where the use of deprecated routes is counted.
pub(crate) type DeprecatedCalls = Family<DeprecatedLabels, Counter>;

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(crate) struct DeprecatedLabels {
    version: String,
    route: String,
}

/// What is around the routes of one version.
struct Around {
    version: ApiVersion,
    headers: Vec<(HeaderName, HeaderValue)>,
    env: Arc<dyn Env>,
    calls: DeprecatedCalls,
}

/// Puts routes below the name of a version.
pub(crate) fn versioned(version: ApiVersion, routes: Router, env: Arc<dyn Env>, calls: DeprecatedCalls) -> Router {
    let path = format!("/{}", version.name);
    let around = Arc::new(Around { headers: version.headers(), version, env, calls });
    // As a route of its own, so that it answers for whatever is below its name.
    Router::new().nest(&path, routes.fallback(not_found).layer(from_fn_with_state(around, answered)))
}

async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND)
}

async fn answered(State(around): State<Arc<Around>>, request: Request, next: Next) -> Response {
    let Around { version, headers, env, calls } = &*around;
    let now = env.now();
    if version.deprecated.is_some_and(|since| since <= now) {
        let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
        calls.get_or_create(&DeprecatedLabels { version: version.name.clone(), route }).inc();
    }
    let mut response = if version.sunset.is_some_and(|at| at <= now) {
        let gone = Problem::new(StatusCode::GONE).kind("version-gone", "This version of the API is gone");
        let successor = version.successor.as_ref().map(|name| format!("use /{name}"));
        successor.into_iter().fold(gone, Problem::detail).into_response()
    } else {
        next.run(request).await
    };
    for (name, value) in headers {
        response.headers_mut().append(name, value.clone());
    }
    response
}

#[cfg(test)]
mod tests;
