//! An event store in memory, for tests: the same ports and the same rules as the store on disk, and nothing survives.

mod log;
mod reading;
mod store;

#[cfg(test)]
mod tests;

pub use store::{Clock, MemoryStore};
