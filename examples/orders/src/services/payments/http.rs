//! Payments over HTTP.

use annalist::App;
use annalist_service::Problem;
use axum::{
    Json, Router,
    extract::{Path, State},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    messages::NAME,
    view::{PAYMENTS, PaymentTotals, TOTALS, Takings},
};
use crate::{
    domain::OrderId,
    services::kit::{Api, not_found},
};

/// What became of the payment for an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PaymentStatus {
    /// The money is here.
    Charged {
        /// How much.
        cents: u64,
    },
    /// The money went back.
    Refunded {
        /// How much.
        cents: u64,
    },
    /// The card was not charged.
    Declined {
        /// Why not.
        why: String,
    },
}

pub(super) fn routes(app: App) -> Router {
    api().routes(NAME, app)
}

pub(super) fn api() -> Api<App> {
    Api::new().get("/payments/{order}", "What became of the payment for an order", payment).get(
        "/totals",
        "All payments together",
        totals,
    )
}

async fn payment(State(app): State<App>, Path(order): Path<u64>) -> Result<Json<PaymentStatus>, Problem> {
    let status = app.view::<Takings>()?.get(&PAYMENTS, &OrderId(order)).await?;
    Ok(Json(status.ok_or_else(|| not_found("payment"))?))
}

async fn totals(State(app): State<App>) -> Result<Json<PaymentTotals>, Problem> {
    Ok(Json(app.view::<Takings>()?.get(&TOTALS, &()).await?.unwrap_or_default()))
}
