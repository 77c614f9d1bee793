//! What the inventory service tells.

use annalist::Event;

/// For everybody.
#[derive(Event, Clone, Debug, PartialEq, Eq)]
#[event(category = "inventory")]
pub enum InventoryPublic {
    /// CDs are set aside.
    #[event(name = "inventory.stock-reserved")]
    StockReserved {
        /// For which order.
        order: String,
        /// How many.
        cds: u32,
    },
    /// There are not enough.
    #[event(name = "inventory.stock-refused")]
    StockRefused {
        /// For which order.
        order: String,
        /// How many are left.
        available: u64,
    },
    /// Nothing is set aside any more.
    #[event(name = "inventory.stock-released")]
    StockReleased {
        /// For which order.
        order: String,
        /// How many were put back; it may be none.
        cds: u32,
    },
}
