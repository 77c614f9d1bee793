//! The inventory over HTTP.

use annalist::App;
use annalist_service::{IdempotencyKey, Problem};
use axum::{
    Json, Router,
    extract::{Path, State},
    response::NoContent,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    messages::NAME,
    view::{InventoryTotals, RESERVED, Shelves, TOTALS},
};
use crate::{
    domain::OrderId,
    fulfilment::{Deliver, Shelf, Stock},
    services::kit::{Api, not_found},
};

/// CDs that come in.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// How many.
    pub cds: u64,
}

/// CDs that are set aside for an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reservation {
    /// The order's number.
    #[schema(value_type = u64)]
    pub order: OrderId,
    /// How many.
    pub cds: u32,
}

pub(super) fn routes(app: App) -> Router {
    api().routes(NAME, app)
}

pub(super) fn api() -> Api<App> {
    Api::new()
        .post("/shelves/{shelf}/deliveries", "CDs come in: `{\"cds\": 10}`", deliver)
        .get("/reservations/{order}", "What is set aside for an order", reservation)
        .get("/totals", "All shelves together", totals)
}

async fn deliver(
    State(app): State<App>,
    Path(shelf): Path<u64>,
    key: IdempotencyKey,
    Json(delivery): Json<Delivery>,
) -> Result<NoContent, Problem> {
    if shelf >= Shelf::COUNT {
        return Err(not_found("shelf"));
    }
    app.on::<Stock>(Shelf(shelf)).execute(Deliver { cds: delivery.cds }).key(key).await?;
    Ok(NoContent)
}

async fn reservation(State(app): State<App>, Path(order): Path<u64>) -> Result<Json<Reservation>, Problem> {
    let order = OrderId(order);
    let cds = app.view::<Shelves>()?.get(&RESERVED, &order).await?.ok_or_else(|| not_found("reservation"))?;
    Ok(Json(Reservation { order, cds }))
}

async fn totals(State(app): State<App>) -> Result<Json<InventoryTotals>, Problem> {
    Ok(Json(app.view::<Shelves>()?.get(&TOTALS, &()).await?.unwrap_or_default()))
}
