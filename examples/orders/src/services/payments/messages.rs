//! What payments hears and tells.

use annalist::{
    Recorded, SystemEnv,
    inbox::{HandleError, Inbox, InboxContext, Received},
    outbox::{IntegrationEvent, MapError},
};
use annalist_service::{outbound::OutboundClient, request::RequestContext};

use super::{
    answers::{AnswerCharge, AnswerRefund, Owed},
    provider,
};
use crate::{
    contracts::{PaymentsPublic, ToPayments, streams},
    domain::Cents,
    fulfilment::{Payment, PaymentEvent},
    services::kit::{Hears, Options, Tells, number},
};

/// The service.
pub const NAME: &str = "payments";
/// Where it tells.
pub const TELLS: Tells = Tells { service: NAME, stream: streams::PAYMENTS };
/// What is asked of it.
pub const HEARS: Hears = Hears { inbox: "payments-orders", stream: streams::ORDERS, subjects: "ev.orders.payments.>" };

/// Requests of the orders service.
pub(super) fn inbox(options: &Options, provider: OutboundClient) -> Inbox {
    let inbox = options.inbox(NAME, HEARS);
    inbox.on(move |received, cx: InboxContext| {
        // The calls to the provider belong to the request that the message belongs to.
        let message = cx.message();
        let request = RequestContext::continuing(&message.metadata, &message.id, &SystemEnv);
        request.scope(requests(received, cx, provider.clone()))
    })
}

/// The provider is asked before anything is recorded: it knows the order, and answers the same however often it is asked.
async fn requests(
    received: Received<ToPayments>,
    cx: InboxContext,
    provider: OutboundClient,
) -> Result<(), HandleError> {
    match received.event {
        ToPayments::ChargeRequested { order, customer, amount_cents } => {
            let (order, amount) = (number(&order)?, Cents(amount_cents));
            let verdict = provider::charge(&provider, order, customer, amount).await?;
            cx.on::<Payment>(order).execute(AnswerCharge { customer, amount, verdict }).await?;
        }
        ToPayments::RefundRequested { order } => {
            let order = number(&order)?;
            if cx.on::<Payment>(order).execute(Owed {}).await?.reply > Cents(0) {
                provider::refund(&provider, order).await?;
            }
            cx.on::<Payment>(order).execute(AnswerRefund {}).await?;
        }
    }
    Ok(())
}

/// What becomes public.
pub(super) fn public(recorded: &Recorded<PaymentEvent>) -> Result<Vec<IntegrationEvent>, MapError> {
    let stream = recorded.record.stream_id();
    let order = stream.identifier().to_owned();
    let public = match recorded.event.clone() {
        PaymentEvent::Charged { amount, .. } => PaymentsPublic::PaymentCharged { order, amount_cents: amount.0 },
        PaymentEvent::Declined { why, .. } => PaymentsPublic::PaymentDeclined { order, why },
        PaymentEvent::Refunded { amount } => PaymentsPublic::PaymentRefunded { order, amount_cents: amount.0 },
    };
    Ok(vec![IntegrationEvent::of(&public, stream.identifier())?])
}
