//! How the fleet is spoken to.

use std::time::Duration;

use annalist::{Metadata, SystemEnv};
use annalist_service::{
    BreakerPolicy,
    outbound::{BuildError, Bulkhead, CallBuilder, CallError, Clients, OutboundClient, RetryBudget},
    request::RequestContext,
};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use super::{FleetError, process::Process};

/// How long a call may take: as long as a service gives a request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Calls under way to one service. It answers 512 at a time.
const CALLS_MAX: usize = 512;
/// How long a service may take to become ready. It reads its log at the start.
const READY_MAX: Duration = Duration::from_mins(1);
/// How often one asks.
const POLL: Duration = Duration::from_millis(20);

/// A call that was answered with success, or with a no of the domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Done.
    Yes,
    /// Rejected, for this reason.
    No(String),
}

/// Who starts and kills a service knows when it is away: nothing is to be kept from calling it.
pub(super) fn client(clients: &Clients, name: &str, base: &str) -> Result<OutboundClient, BuildError> {
    clients
        .client(name, base)?
        .timeout(TIMEOUT)
        .retry_budget(RetryBudget::none())
        .breaker(BreakerPolicy::consecutive(u32::MAX))
        .bulkhead(Bulkhead::new(CALLS_MAX))
        .no_fallback("who calls wants to know")
        .build()
}

/// Waits until a service says that it is ready.
pub(super) async fn until_ready(client: &OutboundClient, process: &mut Process) -> Result<(), String> {
    let until = Instant::now() + READY_MAX;
    loop {
        if let Some(status) = process.ended() {
            return Err(format!("ended with {status}"));
        }
        let why = match client.get("/health/ready").send().await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => format!("answers {}", answer.status()),
            Err(error) => error.to_string(),
        };
        if Instant::now() > until {
            return Err(format!("is not ready: {why}"));
        }
        sleep(POLL).await;
    }
}

/// Makes calls as parts of the request with this correlation id.
pub async fn as_request<F: Future>(correlation_id: &str, calls: F) -> F::Output {
    let metadata = Metadata { correlation_id: Some(correlation_id.to_owned()), ..Metadata::default() };
    RequestContext::continuing(&metadata, correlation_id, &SystemEnv).scope(calls).await
}

/// Asks a service for something that it has.
///
/// # Errors
/// [`FleetError`] when it does not answer, or has no such thing.
pub async fn read<T: DeserializeOwned>(client: &OutboundClient, path: &str) -> Result<T, FleetError> {
    let answer = client.get(path).send().await.map_err(|error| unanswered(client, error))?;
    let body = || String::from_utf8_lossy(answer.body()).into_owned();
    let unexpected =
        || FleetError::Unexpected { name: client.name().to_owned(), status: answer.status().as_u16(), body: body() };
    if !answer.status().is_success() {
        return Err(unexpected());
    }
    answer.read().map_err(|_| unexpected())
}

/// The same, of something that may not be there.
///
/// # Errors
/// As [`read`].
pub(super) async fn find<T: DeserializeOwned>(client: &OutboundClient, path: &str) -> Result<Option<T>, FleetError> {
    match read(client, path).await {
        Ok(found) => Ok(Some(found)),
        Err(FleetError::Unexpected { status: 404, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sends a call. A no of the domain (422) is an answer.
///
/// # Errors
/// [`FleetError`] when there is no answer, or another one.
pub async fn ask(client: &OutboundClient, call: CallBuilder<'_>) -> Result<Answered, FleetError> {
    let answer = call.send().await.map_err(|error| unanswered(client, error))?;
    let body = || String::from_utf8_lossy(answer.body()).into_owned();
    match answer.status().as_u16() {
        200..300 => Ok(Answered::Yes),
        422 => Ok(Answered::No(body())),
        status => Err(FleetError::Unexpected { name: client.name().to_owned(), status, body: body() }),
    }
}

fn unanswered(client: &OutboundClient, source: CallError) -> FleetError {
    FleetError::Call { name: client.name().to_owned(), source }
}
