//! Calls end when their callers no longer wait.

use std::time::Duration;

use axum::{extract::Request, middleware::Next, response::Response};
use tokio::time::timeout;
use tonic::Status;

/// Ends a call at the deadline that its caller states. What it has handed to the store by then goes on there.
pub(crate) async fn within(request: Request, next: Next) -> Response {
    let stated = request.headers().get("grpc-timeout").and_then(|value| duration(value.to_str().ok()?));
    let Some(limit) = stated else { return next.run(request).await };
    let late = || Status::deadline_exceeded("the caller's deadline is over").into_http();
    if limit.is_zero() {
        return late();
    }
    timeout(limit, next.run(request)).await.unwrap_or_else(|_| late())
}

/// A duration as gRPC writes it: up to eight digits and a unit.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if number.len() > 8 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_hours(number),
        "M" => Duration::from_mins(number),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
