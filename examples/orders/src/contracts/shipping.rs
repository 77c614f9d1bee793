//! What the shipping service tells.

use annalist::Event;

/// For everybody.
#[derive(Event, Clone, Debug, PartialEq, Eq)]
#[event(category = "shipping")]
pub enum ShippingPublic {
    /// A parcel will be fetched.
    #[event(name = "shipping.shipment-scheduled")]
    ShipmentScheduled {
        /// For which order.
        order: String,
        /// How many CDs are in it.
        cds: u32,
    },
    /// It cannot be fetched.
    #[event(name = "shipping.shipment-refused")]
    ShipmentRefused {
        /// For which order.
        order: String,
        /// Why not.
        why: String,
    },
    /// No parcel will be fetched.
    #[event(name = "shipping.shipment-cancelled")]
    ShipmentCancelled {
        /// For which order.
        order: String,
        /// How many CDs were in it; it may be none.
        cds: u32,
    },
}
