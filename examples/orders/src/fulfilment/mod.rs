//! From a placed order to one that is shipped, across stock, payment and shipment: a workflow.
//!
//! Stock, payment and shipment know nothing of each other, nor of orders but for their numbers: each has events, a category
//! and commands of its own, as services of their own would. Only [`Fulfilment`] knows all of them.

mod payment;
mod shipment;
mod stock;

mod workflow;

mod books;
mod run;

#[cfg(test)]
mod tests;

pub use books::{BOOKS, Balance, Books, ShopEvent};
pub use payment::{CARD_MAX, Charge, Declined, Payment, PaymentEvent, Refund};
pub use run::{Fulfilled, Unbalanced, fulfil, wiring};
pub use shipment::{Cancel, PARCEL_CDS_MAX, Schedule, Shipment, ShipmentEvent, TooLarge};
pub use stock::{Deliver, OutOfStock, Release, Reserve, Shelf, Stock, StockEvent};
pub use workflow::Fulfilment;
