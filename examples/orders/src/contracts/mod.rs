//! What the services say to each other: each one's public language, and nothing of what is inside of it.
//!
//! All of it are integration events. A request is one, too: whoever asks records that it asks. Names, and the shapes of what
//! is published, change only by a new version beside the old one. Numbers of orders are texts, money is in cents.

mod inventory;
mod orders;
mod payments;
mod shipping;

pub use inventory::InventoryPublic;
pub use orders::{OrdersPublic, ToInventory, ToPayments, ToShipping};
pub use payments::PaymentsPublic;
pub use shipping::ShippingPublic;

/// The stream of each service at the broker; only that service publishes to it.
pub mod streams {
    /// That of the orders service. What is for one other service has that one's name in its subject: `ev.orders.inventory.17`.
    pub const ORDERS: &str = "ORDERS";
    /// That of the inventory service.
    pub const INVENTORY: &str = "INVENTORY";
    /// That of the payments service.
    pub const PAYMENTS: &str = "PAYMENTS";
    /// That of the shipping service.
    pub const SHIPPING: &str = "SHIPPING";
}
