//! Orders over HTTP.

use std::time::Duration;

use annalist::{App, workflow::WorkflowState};
use annalist_service::{Accepted, IdempotencyKey, Operation, Problem};
use annalist_sql::{SqlError, Sqlite};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    messages::NAME,
    purchase::Purchase,
    tracking::{self, OrderStatus, OrdersTotals},
};
use crate::{
    domain::{Cents, Customer, Date, Order, OrderId, OrdersOfCustomer, Place, PlaceInTurn, PlaceRejected},
    services::kit::{Api, bad_request, not_found},
};

/// When it may be worth another try to place an order, if others are to be paid first.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Most orders of a customer in one answer.
const ORDERS_SHOWN_MAX: u32 = 100;

/// An order to be placed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct PlaceOrder {
    /// Its number, which nobody else has used.
    #[schema(value_type = u64)]
    pub order: OrderId,
    /// Who orders.
    #[schema(value_type = String, pattern = "^[0-9]{5}$")]
    pub customer: Customer,
    /// When.
    #[schema(value_type = String, format = Date)]
    pub date: Date,
    /// How many CDs.
    pub cds: u32,
    /// What they cost together; it may be nothing.
    pub total_cents: u64,
}

/// Orders, by number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderList(pub Vec<OrderStatus>);

#[derive(Clone)]
pub(super) struct Orders {
    app: App,
    tracking: Sqlite,
}

pub(super) fn routes(app: App, tracking: Sqlite) -> Router {
    api().routes(NAME, Orders { app, tracking })
}

pub(super) fn api() -> Api<Orders> {
    Api::new()
        .post("/orders", "Place an order; `/operations/{order}` says how it comes on", place)
        .get("/orders/{order}", "How an order stands, as all four services say", order)
        .get("/customers/{customer}/orders", "The first hundred orders of a customer", orders_of)
        .get("/totals", "All orders together", totals)
}

async fn place(
    State(orders): State<Orders>,
    key: IdempotencyKey,
    Json(order): Json<PlaceOrder>,
) -> Result<Accepted, Problem> {
    let PlaceOrder { order, customer, date, cds, total_cents } = order;
    let place = Place { customer, date, cds, total: Cents(total_cents) };
    let placed = orders.app.scope::<OrdersOfCustomer>().execute(PlaceInTurn { order, place }).key(key).await;
    placed.map_err(|error| Problem::of(error, rejected))?;
    Ok(Accepted::new(order.to_string()))
}

/// What the customer can wait for is told apart from what remains wrong.
fn rejected(why: PlaceRejected) -> Problem {
    match why {
        PlaceRejected::TooManyOpen { .. } => Problem::new(StatusCode::CONFLICT)
            .kind("too-many-open-orders", "Other orders are to be paid first")
            .detail(why.to_string())
            .retry_after(RETRY_AFTER),
        other => Problem::rejected(other),
    }
}

/// How a placed order comes on.
pub(super) async fn operation(app: App, order: String) -> Result<Option<Operation>, Problem> {
    let Ok(id) = order.parse::<OrderId>() else { return Ok(None) };
    let purchase = app.workflow::<Purchase>().map_err(unreadable)?.instance(&order).await.map_err(unreadable)?;
    let Some(purchase) = purchase else {
        // It may be placed, and not yet taken in hand.
        let known = app.load::<Order>(&id).await?.state != Order::New;
        return Ok(known.then_some(Operation::Running));
    };
    Ok(Some(match purchase.state {
        WorkflowState::Done => Operation::succeeded("shipped"),
        WorkflowState::Compensated => {
            let cancelled = Problem::new(StatusCode::CONFLICT).kind("cancelled", "The order was cancelled");
            Operation::Failed(cancelled.detail(purchase.turned_back.unwrap_or_default()))
        }
        _ => Operation::Running,
    }))
}

async fn order(State(orders): State<Orders>, Path(order): Path<u64>) -> Result<Json<OrderStatus>, Problem> {
    let status = tracking::status(&orders.tracking, order).await.map_err(unavailable)?;
    Ok(Json(status.ok_or_else(|| not_found("order"))?))
}

async fn orders_of(State(orders): State<Orders>, Path(customer): Path<String>) -> Result<Json<OrderList>, Problem> {
    let customer: Customer = customer.parse().map_err(bad_request)?;
    let found = tracking::of_customer(&orders.tracking, customer, ORDERS_SHOWN_MAX).await.map_err(unavailable)?;
    Ok(Json(OrderList(found)))
}

async fn totals(State(orders): State<Orders>) -> Result<Json<OrdersTotals>, Problem> {
    Ok(Json(tracking::totals(&orders.tracking).await.map_err(unavailable)?))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unavailable(error: SqlError) -> Problem {
    tracing::warn!(%error, "the view of the orders cannot be read");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE).kind("unavailable", "Not available at present")
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unreadable(error: annalist::saga::SagaError) -> Problem {
    tracing::warn!(%error, "a purchase cannot be read");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE).kind("unavailable", "Not available at present")
}
