//! All outbound clients of a service: for metrics, health and documents.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use annalist::{Env, SystemEnv};
use http::Uri;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{
        MetricType,
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::ConstGauge,
        histogram::Histogram,
    },
    registry::Registry,
};
use serde::Serialize;

use super::{
    Answer, BuildError, CallError, ClientBuilder, OutboundClient,
    client::Parts,
    settings::{Bulkhead, RetryBudget, Timeouts},
};
use crate::{
    breaker::{BreakerCounts, BreakerPolicy, BreakerState},
    telemetry::seconds,
};

/// The outbound clients of a service. Clones share them.
///
/// ```no_run
/// use std::time::Duration;
/// use annalist_service::outbound::{Answer, Bulkhead, Clients, RetryBudget};
/// use annalist_service::BreakerPolicy;
///
/// # fn rates() -> Result<(), Box<dyn std::error::Error>> {
/// let clients = Clients::default();
/// let rates = clients
///     .client("rates", "http://rates.internal:8080")?
///     .timeout(Duration::from_millis(80))
///     .retry_budget(RetryBudget::default())
///     .breaker(BreakerPolicy::default())
///     .bulkhead(Bulkhead::new(32))
///     .fallback(|_missed| async { Answer::json(&serde_json::json!({ "rate": 1.0 })).ok() })
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Clients(Arc<Shared>);

struct Shared {
    env: Arc<dyn Env>,
    clients: Mutex<BTreeMap<String, Arc<Parts>>>,
    calls: Family<OutcomeLabels, Counter>,
    durations: Family<ClientLabels, Histogram>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OutcomeLabels {
    client: String,
    outcome: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct ClientLabels {
    client: String,
}

/// What has been settled about a dependency: for documents and for checks of the whole system.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct ClientDescription {
    /// The dependency.
    pub name: String,
    /// Where it is.
    pub base: String,
    /// Within which time the dependency promises to answer.
    pub sla: Option<Duration>,
    /// How long an attempt and a call may take.
    pub timeouts: Timeouts,
    /// How often calls are tried again.
    pub retry_budget: RetryBudget,
    /// When it is left alone.
    pub breaker: BreakerPolicy,
    /// How many calls may be under way.
    pub bulkhead: Bulkhead,
    /// Why there is no fallback; `None` when there is one.
    pub no_fallback: Option<String>,
}

/// How a dependency's breaker is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct ClientStatus {
    /// The dependency.
    pub name: String,
    /// What its breaker is doing.
    pub breaker: BreakerState,
    /// What its breaker has counted.
    pub counts: BreakerCounts,
}

impl Clients {
    /// No clients yet; ids, time and jitter come from there.
    #[must_use]
    pub fn new(env: Arc<dyn Env>) -> Self {
        let durations = Family::new_with_constructor((|| Histogram::new(seconds())) as fn() -> Histogram);
        Self(Arc::new(Shared { env, clients: Mutex::default(), calls: Family::default(), durations }))
    }

    /// Begins a client for the dependency `name`, which is at `base`: `http://host:port`, and perhaps a path.
    ///
    /// # Errors
    /// [`BuildError::Base`] when `base` is not that.
    pub fn client(&self, name: impl Into<String>, base: &str) -> Result<ClientBuilder, BuildError> {
        let base = base.parse::<Uri>().map_err(|_| BuildError::Base { base: base.to_owned() })?;
        Ok(ClientBuilder::new(self.clone(), name.into(), base))
    }

    /// What has been settled about each dependency, by name.
    #[must_use]
    pub fn describe(&self) -> Vec<ClientDescription> {
        let describe = |parts: &Arc<Parts>| {
            let Parts { name, base, sla, timeouts, retries, policy, bulkhead, fallback, .. } = &**parts;
            ClientDescription {
                name: name.clone(),
                base: base.to_string(),
                sla: *sla,
                timeouts: *timeouts,
                retry_budget: *retries,
                breaker: *policy,
                bulkhead: *bulkhead,
                no_fallback: fallback.missing().map(str::to_owned),
            }
        };
        self.locked().values().map(describe).collect()
    }

    /// How each dependency's breaker is, by name.
    #[must_use]
    pub fn status(&self) -> Vec<ClientStatus> {
        let status = |Parts { name, breaker, .. }: &Parts| ClientStatus {
            name: name.clone(),
            breaker: breaker.state(),
            counts: breaker.counts(),
        };
        self.locked().values().map(|parts| status(parts)).collect()
    }

    /// A client by its name, if there is one: to operate its breaker.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<OutboundClient> {
        let parts = self.locked().get(name).cloned()?;
        Some(OutboundClient { parts, clients: self.clone() })
    }

    pub(crate) fn register(&self, metrics: &mut Registry) {
        let Shared { calls, durations, .. } = &*self.0;
        metrics.register("annalist_call", "Calls to dependencies by outcome", calls.clone());
        metrics.register("annalist_call_seconds", "How long calls took, retries included", durations.clone());
        metrics.register_collector(Box::new(Breakers(self.clone())));
    }

    pub(super) fn env(&self) -> &Arc<dyn Env> {
        &self.0.env
    }

    pub(super) fn enter(&self, parts: Parts) -> Result<OutboundClient, BuildError> {
        let parts = Arc::new(parts);
        let mut clients = self.locked();
        if clients.contains_key(&parts.name) {
            return Err(BuildError::Twice(parts.name.clone()));
        }
        clients.insert(parts.name.clone(), Arc::clone(&parts));
        drop(clients);
        Ok(OutboundClient { parts, clients: self.clone() })
    }

    pub(super) fn count(&self, client: &str, answer: &Result<Answer, CallError>, took: Duration) {
        let outcome = match answer {
            Ok(answer) if answer.degraded().is_some() => "degraded",
            Ok(_) => "answered",
            Err(error) => error.kind(),
        };
        let Shared { calls, durations, .. } = &*self.0;
        calls.get_or_create(&OutcomeLabels { client: client.to_owned(), outcome }).inc();
        durations.get_or_create(&ClientLabels { client: client.to_owned() }).observe(took.as_secs_f64());
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Parts>>> {
        self.0.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What breakers are doing and have counted, when metrics are asked for.
#[derive(Debug)]
struct Breakers(Clients);

impl Collector for Breakers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let all = self.0.status();
        let help = "1 for the state that the circuit breaker of a client is in";
        let mut states = encoder.encode_descriptor("annalist_breaker_state", help, None, MetricType::Gauge)?;
        for ClientStatus { name, breaker, .. } in &all {
            for state in BreakerState::ALL {
                let labels = [("client", name.as_str()), ("state", state.name())];
                ConstGauge::new(i64::from(state == *breaker)).encode(states.encode_family(&labels)?)?;
            }
        }
        let help = "Attempts by what they said to the circuit breaker, and how often it opened";
        let mut counts = encoder.encode_descriptor("annalist_breaker", help, None, MetricType::Counter)?;
        for ClientStatus { name, counts: BreakerCounts { succeeded, failed, ignored, refused, opened }, .. } in &all {
            let said = [("succeeded", succeeded), ("failed", failed), ("ignored", ignored)];
            for (what, count) in said.into_iter().chain([("refused", refused), ("opened", opened)]) {
                let labels = [("client", name.as_str()), ("what", what)];
                ConstCounter::new(*count).encode(counts.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

impl Default for Clients {
    fn default() -> Self {
        Self::new(Arc::new(SystemEnv))
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clients").field(&self.locked().keys().collect::<Vec<_>>()).finish()
    }
}
