//! What the benches share. `docs/performance.md` says what they measure and how to read their tables.
//!
//! The targets, `append`, `read` and `command`, are programs of their own that print Markdown tables:
//! `cargo bench --package benches --bench append -- 64x1 256x1`.

mod disk;
mod events;
mod load;
mod machine;
mod settings;
mod streams;
mod subject;
mod table;

#[cfg(feature = "framework")]
mod account;
#[cfg(feature = "framework")]
mod forward;
#[cfg(feature = "framework")]
mod sql_view;
#[cfg(feature = "framework")]
mod view;
#[cfg(feature = "framework")]
mod walk;

pub use disk::{DiskFigures, measure_disk};
pub use events::{EventSource, PAYLOAD_BYTES, Random};
pub use load::{LOADS, Load, LoadFigures, fill, run_clients, run_load};
pub use machine::{describe_machine, processor_time};
pub use settings::{Folder, Settings};
pub use streams::{Streams, read_streams, touch};
pub use subject::Subject;
pub use table::{Table, count, millis};

#[cfg(feature = "framework")]
pub use account::{Account, AccountEvent, BALANCES, Balances, Deposit};
#[cfg(feature = "framework")]
pub use forward::Forward;
#[cfg(feature = "framework")]
pub use sql_view::{
    ORDERS_COUNTED, ORDERS_TABLES, OrdersInPostgres, SPENDING_COUNTED, SPENDING_TABLES, SpendingInPostgres,
    SpendingInSqlite,
};
#[cfg(feature = "framework")]
pub use view::{EVENTS, OrderEvent, SPENT, Spending};
#[cfg(feature = "framework")]
pub use walk::Walk;

/// What can end a bench: it prints the reason and stops.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The runtime of every bench: two workers, whatever the machine, so that figures of different machines compare.
///
/// # Errors
/// When the system refuses the threads.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}
