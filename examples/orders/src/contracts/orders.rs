//! What the orders service tells everybody, and what it asks of the others.

use annalist::Event;

use crate::domain::{Customer, Date};

/// For everybody.
#[derive(Event, Clone, Debug, PartialEq, Eq)]
#[event(category = "orders")]
pub enum OrdersPublic {
    /// A customer ordered CDs.
    #[event(name = "orders.order-placed")]
    OrderPlaced {
        /// Its number.
        order: String,
        /// Who ordered.
        customer: Customer,
        /// When.
        date: Date,
        /// How many CDs.
        cds: u32,
        /// What they cost.
        total_cents: u64,
    },
    /// The customer paid.
    #[event(name = "orders.order-paid")]
    OrderPaid {
        /// Its number.
        order: String,
        /// Who paid.
        customer: Customer,
        /// When.
        date: Date,
        /// How much.
        amount_cents: u64,
    },
    /// The CDs left the house.
    #[event(name = "orders.order-shipped")]
    OrderShipped {
        /// Its number.
        order: String,
        /// Who gets them.
        customer: Customer,
        /// When.
        date: Date,
        /// How many CDs.
        cds: u32,
    },
    /// Nothing comes of the order.
    #[event(name = "orders.order-cancelled")]
    OrderCancelled {
        /// Its number.
        order: String,
        /// Who ordered.
        customer: Customer,
        /// Why.
        why: String,
    },
}

/// For the inventory service.
#[derive(Event, Clone, Debug, PartialEq, Eq)]
#[event(category = "orders")]
pub enum ToInventory {
    /// Set CDs aside.
    #[event(name = "orders.inventory.reservation-requested")]
    ReservationRequested {
        /// For which order.
        order: String,
        /// How many.
        cds: u32,
    },
    /// Put them back, if any were set aside.
    #[event(name = "orders.inventory.release-requested")]
    ReleaseRequested {
        /// Those of which order.
        order: String,
    },
}

/// For the payments service.
#[derive(Event, Clone, Debug, PartialEq, Eq)]
#[event(category = "orders")]
pub enum ToPayments {
    /// Charge the customer's card.
    #[event(name = "orders.payments.charge-requested")]
    ChargeRequested {
        /// For which order.
        order: String,
        /// Whose card.
        customer: Customer,
        /// With how much.
        amount_cents: u64,
    },
    /// Give the money back, if there is any.
    #[event(name = "orders.payments.refund-requested")]
    RefundRequested {
        /// That of which order.
        order: String,
    },
}

/// For the shipping service.
#[derive(Event, Clone, Debug, PartialEq, Eq)]
#[event(category = "orders")]
pub enum ToShipping {
    /// Have a parcel fetched.
    #[event(name = "orders.shipping.shipment-requested")]
    ShipmentRequested {
        /// For which order.
        order: String,
        /// Who gets it.
        customer: Customer,
        /// How many CDs are in it.
        cds: u32,
    },
    /// Have it not fetched, if it was to be.
    #[event(name = "orders.shipping.cancellation-requested")]
    CancellationRequested {
        /// That of which order.
        order: String,
    },
}
