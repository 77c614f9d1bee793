//! What the payments service tells.

use annalist::Event;

/// For everybody.
#[derive(Event, Clone, Debug, PartialEq, Eq)]
#[event(category = "payments")]
pub enum PaymentsPublic {
    /// The customer's card was charged.
    #[event(name = "payments.payment-charged")]
    PaymentCharged {
        /// For which order.
        order: String,
        /// With how much.
        amount_cents: u64,
    },
    /// It was not.
    #[event(name = "payments.payment-declined")]
    PaymentDeclined {
        /// For which order.
        order: String,
        /// Why not.
        why: String,
    },
    /// No money is kept.
    #[event(name = "payments.payment-refunded")]
    PaymentRefunded {
        /// For which order.
        order: String,
        /// How much went back; it may be nothing.
        amount_cents: u64,
    },
}
