//! Shipping over HTTP.

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
    view::{Parcels, SHIPMENTS, ShippingTotals, TOTALS},
};
use crate::{
    domain::OrderId,
    services::kit::{Api, not_found},
};

/// What became of the parcel of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ShipmentStatus {
    /// It will be fetched.
    Scheduled {
        /// How many CDs are in it.
        cds: u32,
    },
    /// It cannot be fetched.
    Refused {
        /// Why not.
        why: String,
    },
    /// It will not be fetched after all.
    Cancelled,
}

pub(super) fn routes(app: App) -> Router {
    api().routes(NAME, app)
}

pub(super) fn api() -> Api<App> {
    Api::new().get("/shipments/{order}", "What became of the parcel of an order", shipment).get(
        "/totals",
        "All parcels together",
        totals,
    )
}

async fn shipment(State(app): State<App>, Path(order): Path<u64>) -> Result<Json<ShipmentStatus>, Problem> {
    let status = app.view::<Parcels>()?.get(&SHIPMENTS, &OrderId(order)).await?;
    Ok(Json(status.ok_or_else(|| not_found("shipment"))?))
}

async fn totals(State(app): State<App>) -> Result<Json<ShippingTotals>, Problem> {
    Ok(Json(app.view::<Parcels>()?.get(&TOTALS, &()).await?.unwrap_or_default()))
}
