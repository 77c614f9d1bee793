//! The payment provider, as this service calls it: within bounds, and again until it has answered.

use std::time::Duration;

use annalist::inbox::HandleError;
use annalist_service::{
    BreakerPolicy,
    outbound::{BuildError, Bulkhead, CallBuilder, Clients, OutboundClient, RetryBudget},
};
use serde::de::DeserializeOwned;

use super::answers::Verdict;
use crate::{
    domain::{Cents, Customer, OrderId},
    services::provider::{Charge, Refunded},
};

/// How long a call may take: longer than the provider needs when it is well, short enough that few wait for it when it is not.
const TIMEOUT: Duration = Duration::from_millis(500);

/// What the provider promises.
const SLA: Duration = Duration::from_millis(100);

/// Calls under way at the same time.
const CALLS_MAX: usize = 64;

/// How long the provider is left alone when it fails. The money is only late, and customers wait.
const OPEN_FOR: Duration = Duration::from_secs(2);

/// The client of the provider.
///
/// # Errors
/// [`BuildError`] when it cannot be where it is said to be.
pub fn provider_client(clients: &Clients, base: &str) -> Result<OutboundClient, BuildError> {
    clients
        .client("provider", base)?
        .sla(SLA)
        .timeout(TIMEOUT)
        .retry_budget(RetryBudget::default())
        .breaker(BreakerPolicy::default().open_for(OPEN_FOR))
        .bulkhead(Bulkhead::new(CALLS_MAX))
        .no_fallback(
            "nobody else knows whether a card is good; the request waits in the inbox, and the order has its deadline",
        )
        .build()
}

/// Has a card charged. The provider knows the order, and charges it once however often it is asked.
///
/// # Errors
/// [`HandleError::Wait`] as long as the provider has no answer.
pub(super) async fn charge(
    provider: &OutboundClient,
    order: OrderId,
    customer: Customer,
    amount: Cents,
) -> Result<Verdict, HandleError> {
    let charge = Charge { order, customer, amount_cents: amount.0 };
    answer(provider.post("/v1/charges").idempotency_key(format!("charge-{order}")).json(&charge)).await
}

/// Has the money given back, once.
///
/// # Errors
/// As [`charge`].
pub(super) async fn refund(provider: &OutboundClient, order: OrderId) -> Result<Refunded, HandleError> {
    let path = format!("/v1/charges/{order}/refund");
    answer(provider.post(&path).idempotency_key(format!("refund-{order}"))).await
}

async fn answer<T: DeserializeOwned>(call: CallBuilder<'_>) -> Result<T, HandleError> {
    let answer = call.send().await.map_err(HandleError::wait)?;
    if !answer.status().is_success() {
        return Err(HandleError::wait(format!("the provider answered {}", answer.status())));
    }
    answer.read().map_err(HandleError::wait)
}
