//! The provider over HTTP.

use annalist::App;
use annalist_service::{IdempotencyKey, Problem};
use axum::{
    Json, Router,
    extract::{Path, State},
    middleware::from_fn_with_state,
};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;

use super::{
    NAME,
    mood::{Mood, moody},
};
use crate::{
    domain::{Cents, Customer, OrderId},
    fulfilment::Payment,
    services::{
        kit::Api,
        payments::{AnswerCharge, AnswerRefund, PaymentTotals, TOTALS, Takings, Verdict},
    },
};

/// Charge a card.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct Charge {
    /// For which order of the shop.
    #[schema(value_type = u64)]
    pub order: OrderId,
    /// Whose card.
    #[schema(value_type = String, pattern = "^[0-9]{5}$")]
    pub customer: Customer,
    /// With how much.
    pub amount_cents: u64,
}

/// The money went back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refunded {
    /// How much.
    pub cents: u64,
}

#[derive(Clone)]
struct Provider {
    app: App,
    card_max: Cents,
    mood: watch::Sender<Mood>,
}

pub(super) fn routes(app: App, card_max: Cents) -> Router {
    let (mood, moods) = watch::channel(Mood::default());
    // How it is, and what it has, can always be asked.
    Api::new()
        .post("/charges", "Charge a card for an order, once", charge)
        .post("/charges/{order}/refund", "Give the money back, once", refund)
        .around(|money| money.layer(from_fn_with_state(moods, moody)))
        .get("/mood", "How the provider is", mood_is)
        .put("/mood", "Be `well`, `slow`, `failing` or `down`: `{\"mood\": \"slow\"}`", mood_becomes)
        .get("/totals", "All charges together", totals)
        .routes(NAME, Provider { app, card_max, mood })
}

async fn charge(
    State(provider): State<Provider>,
    key: IdempotencyKey,
    Json(Charge { order, customer, amount_cents }): Json<Charge>,
) -> Result<Json<Verdict>, Problem> {
    let (amount, max) = (Cents(amount_cents), provider.card_max);
    let good = amount <= max;
    let why = || format!("the card is good for {max} dollars, not for {amount}");
    let verdict = if good { Verdict::Charged } else { Verdict::Declined { why: why() } };
    let command = AnswerCharge { customer, amount, verdict };
    Ok(Json(provider.app.on::<Payment>(order).execute(command).key(key).await?.reply))
}

async fn refund(
    State(provider): State<Provider>,
    Path(order): Path<u64>,
    key: IdempotencyKey,
) -> Result<Json<Refunded>, Problem> {
    let refunded = provider.app.on::<Payment>(OrderId(order)).execute(AnswerRefund {}).key(key).await?;
    Ok(Json(Refunded { cents: refunded.reply.0 }))
}

async fn mood_is(State(provider): State<Provider>) -> Json<Mood> {
    Json(*provider.mood.borrow())
}

async fn mood_becomes(State(provider): State<Provider>, Json(mood): Json<Mood>) -> Json<Mood> {
    tracing::info!(?mood, "told to be otherwise");
    provider.mood.send_replace(mood);
    Json(mood)
}

async fn totals(State(provider): State<Provider>) -> Result<Json<PaymentTotals>, Problem> {
    Ok(Json(provider.app.view::<Takings>()?.get(&TOTALS, &()).await?.unwrap_or_default()))
}
