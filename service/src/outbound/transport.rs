//! The transport: HTTP by reqwest.

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use reqwest::redirect;
use tower::{service_fn, util::BoxCloneSyncService};

use super::{CallError, attempt::Transport};
use crate::limits::{ANSWER_BODY_BYTES_MAX, IDLE_CONNECTION_MAX};

/// A transport with connections of its own. Redirects are answers: a service does not follow where it was not sent.
#[expect(clippy::disallowed_methods, reason = "this is where calls leave, within everything that is around them")]
pub(super) fn transport() -> Result<Transport, CallError> {
    let client = reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .pool_idle_timeout(IDLE_CONNECTION_MAX)
        .build()
        .map_err(|error| CallError::Invalid(error.to_string()))?;
    let send = move |request: Request<Bytes>| {
        let client = client.clone();
        async move {
            let request = request.try_into().map_err(|error: reqwest::Error| CallError::Invalid(error.to_string()))?;
            read(client.execute(request).await.map_err(unreachable)?).await
        }
    };
    Ok(BoxCloneSyncService::new(service_fn(send)))
}

/// Reads an answer whole, if it is not too large.
async fn read(mut answer: reqwest::Response) -> Result<Response<Bytes>, CallError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > ANSWER_BODY_BYTES_MAX {
            return Err(CallError::TooLarge { bytes_max: ANSWER_BODY_BYTES_MAX });
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = Response::new(body.freeze());
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(response)
}

fn unreachable(error: reqwest::Error) -> CallError {
    CallError::Unreachable(std::sync::Arc::new(error.without_url()))
}
