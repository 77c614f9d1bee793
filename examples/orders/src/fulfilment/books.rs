//! The books: what all of them say together, so that one sees whether it adds up.

use annalist::{
    Events, Recorded,
    projection::{ApplyError, Embedded, Projection, Table, Tx},
};
use serde::{Deserialize, Serialize};

use super::{payment::PaymentEvent, shipment::ShipmentEvent, stock::StockEvent};
use crate::domain::{Cents, OrderEvent};

/// What happens in the whole shop.
#[derive(Events, Clone, Debug)]
pub enum ShopEvent {
    /// To an order.
    Order(OrderEvent),
    /// To CDs on a shelf.
    Stock(StockEvent),
    /// To a payment.
    Payment(PaymentEvent),
    /// To a parcel.
    Shipment(ShipmentEvent),
}

/// Keeps the books.
#[derive(Debug)]
pub struct Books;

/// The books.
pub const BOOKS: Table<(), Balance> = Table::new("books");

/// What each of the four says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// CDs that came in.
    pub delivered: u64,
    /// CDs that are set aside for orders.
    pub reserved: u64,
    /// CDs that are in parcels.
    pub in_parcels: u64,
    /// CDs of orders that were told that they are shipped.
    pub shipped: u64,
    /// Money from cards that did not go back.
    pub charged: Cents,
    /// Money that went back.
    pub refunded: Cents,
    /// Money of orders that were told that they are paid.
    pub paid: Cents,
}

impl Balance {
    /// Whether stock, payment, shipment and orders say the same, once nothing is under way.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        self.reserved == self.in_parcels && self.in_parcels == self.shipped && self.charged == self.paid
    }
}

impl Projection for Books {
    const NAME: &'static str = "books";
    const VERSION: u32 = 1;
    type Event = ShopEvent;
    type Model = Embedded;

    async fn apply(&self, recorded: &Recorded<ShopEvent>, tx: &mut Tx) -> Result<(), ApplyError> {
        tx.update(&BOOKS, &(), |books| match recorded.event {
            ShopEvent::Stock(StockEvent::Delivered { cds }) => books.delivered += cds,
            ShopEvent::Stock(StockEvent::Reserved { cds, .. }) => books.reserved += u64::from(cds),
            ShopEvent::Stock(StockEvent::Released { cds, .. }) => books.reserved -= u64::from(cds),
            ShopEvent::Payment(PaymentEvent::Charged { amount, .. }) => books.charged = books.charged.plus(amount),
            ShopEvent::Payment(PaymentEvent::Refunded { amount }) => {
                books.charged = Cents(books.charged.0 - amount.0);
                books.refunded = books.refunded.plus(amount);
            }
            ShopEvent::Shipment(ShipmentEvent::Scheduled { cds, .. }) => books.in_parcels += u64::from(cds),
            ShopEvent::Shipment(ShipmentEvent::Cancelled { cds }) => books.in_parcels -= u64::from(cds),
            ShopEvent::Order(OrderEvent::Paid { amount, .. }) => books.paid = books.paid.plus(amount),
            ShopEvent::Order(OrderEvent::Shipped { cds, .. }) => books.shipped += u64::from(cds),
            ShopEvent::Order(OrderEvent::Placed { .. } | OrderEvent::Cancelled { .. })
            | ShopEvent::Stock(StockEvent::Refused { .. })
            | ShopEvent::Payment(PaymentEvent::Declined { .. })
            | ShopEvent::Shipment(ShipmentEvent::Refused { .. }) => {}
        })?;
        Ok(())
    }
}
