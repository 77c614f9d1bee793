//! The domain: what an order is and what may happen to it. Pure: no store, no clock, no runtime.

mod open_orders;
mod order;
mod values;

pub use open_orders::{OPEN_ORDERS_MAX, OrdersOfCustomer, PlaceInTurn, PlaceRejected};
pub use order::{Cancel, Order, OrderEvent, OrderRejected, Pay, Place, Ship, Take};
pub use values::{Cents, Customer, Date, Month, NotA, OrderId, parse_date};

#[cfg(test)]
mod tests;
