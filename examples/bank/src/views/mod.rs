//! What people look at: read models, which can be rebuilt from the log at any time.

mod balances;
mod statement;

pub use balances::{BALANCES, Balances, Holding};
pub use statement::{Entry, Statement, statement_of};
