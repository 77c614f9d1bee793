//! What comes in: bounded in time, number, rate and size, recognised when it comes again.

mod options;

mod key;

mod gate;
mod operations;

#[cfg(test)]
mod tests;

pub(crate) use gate::Gate;
pub use key::IdempotencyKey;
pub(crate) use operations::operations;
pub use operations::{Accepted, Operation};
pub use options::InboundOptions;
