#![allow(unused_imports, reason = "each case leaves one out")]

use std::time::Duration;

use annalist_service::{
    BreakerPolicy,
    outbound::{BuildError, Bulkhead, Clients, OutboundClient, RetryBudget},
};

fn main() -> Result<(), BuildError> {
    let _client: OutboundClient = Clients::default()
        .client("provider", "http://localhost:1")?
        .retry_budget(RetryBudget::default())
        .breaker(BreakerPolicy::default())
        .bulkhead(Bulkhead::new(8))
        .no_fallback("money is not guessed")
        .build()?;
    Ok(())
}
