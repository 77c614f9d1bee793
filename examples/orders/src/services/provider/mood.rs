//! How the provider is.

use std::{future::pending, time::Duration};

use annalist_service::Problem;
use axum::{
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::sleep};
use utoipa::ToSchema;

/// How long a slow answer takes: most callers do not wait for it.
const SLOW: Duration = Duration::from_millis(700);

/// How the provider is. It is told, so that one sees what becomes of those who need it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "mood", rename_all = "kebab-case")]
pub enum Mood {
    /// It answers.
    #[default]
    Well,
    /// It does what it is asked, and answers when most have gone.
    Slow,
    /// It does what it is asked, and answers that it has failed.
    Failing,
    /// It does not answer at all.
    Down,
}

/// Answers as the mood is.
pub(super) async fn moody(State(mood): State<watch::Receiver<Mood>>, request: Request, next: Next) -> Response {
    let mood = *mood.borrow();
    match mood {
        Mood::Well => next.run(request).await,
        Mood::Slow => {
            let response = next.run(request).await;
            sleep(SLOW).await;
            response
        }
        Mood::Failing => {
            drop(next.run(request).await);
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR).detail("it was told to fail").into_response()
        }
        Mood::Down => pending().await,
    }
}
