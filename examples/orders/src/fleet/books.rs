//! What the services say, side by side: whether it adds up.

use serde::{Deserialize, Serialize};

use super::{Fleet, FleetError, client::read};
use crate::services::{
    inventory::{self, InventoryTotals},
    orders::{self, OrdersTotals},
    payments::{self, PaymentTotals},
    provider,
    shipping::{self, ShippingTotals},
};

/// The totals of each service, from its own view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetBooks {
    /// Of the orders service.
    pub orders: OrdersTotals,
    /// Of the inventory service.
    pub inventory: InventoryTotals,
    /// Of the payments service.
    pub payments: PaymentTotals,
    /// Of the payment provider, which has the same of its own.
    pub provider: PaymentTotals,
    /// Of the shipping service.
    pub shipping: ShippingTotals,
}

impl FleetBooks {
    /// Asks all of them.
    ///
    /// # Errors
    /// [`FleetError`] when one does not answer.
    pub async fn read(fleet: &Fleet) -> Result<Self, FleetError> {
        const PATH: &str = "/v1/totals";
        Ok(Self {
            orders: read(fleet.client(orders::NAME), PATH).await?,
            inventory: read(fleet.client(inventory::NAME), PATH).await?,
            payments: read(fleet.client(payments::NAME), PATH).await?,
            provider: read(fleet.client(provider::NAME), PATH).await?,
            shipping: read(fleet.client(shipping::NAME), PATH).await?,
        })
    }

    /// What does not add up; nothing when every order is shipped or cancelled, and stock, money and parcels are those of the
    /// orders that are shipped.
    #[must_use]
    pub fn differences(&self) -> Vec<String> {
        let Self { orders, inventory, payments, provider, shipping } = self;
        let pairs = [
            ("open orders, and none", orders.open, 0),
            ("orders placed, and shipped or cancelled", orders.placed, orders.shipped + orders.cancelled),
            ("orders shipped, and reserved for", orders.shipped, inventory.reserved_orders),
            ("CDs shipped, and reserved", orders.shipped_cds, inventory.reserved_cds),
            ("orders shipped, and parcels", orders.shipped, shipping.parcels),
            ("CDs shipped, and in parcels", orders.shipped_cds, shipping.cds),
            ("cents of orders shipped, and charged", orders.shipped_cents, payments.charged_cents),
            ("cents charged, and at the provider", payments.charged_cents, provider.charged_cents),
            ("charges, and at the provider", payments.charged, provider.charged),
            ("cents given back, and by the provider", payments.refunded_cents, provider.refunded_cents),
        ];
        let differs = pairs.iter().filter(|(_, one, other)| one != other);
        differs.map(|(what, one, other)| format!("{what}: {one}, {other}")).collect()
    }
}
