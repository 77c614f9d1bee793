//! Events change, the log does not: a test that says what must be done before a change of an event can land.
//!
//! A service keeps two things in its repository, both written by this test and meant to be read in a diff:
//!
//! - `events.lock`: every event in every version that it ever had, with its fields, their types as written, and its tags;
//! - `golden/`: a sample of each of these versions as JSON, which must be readable for ever.
//!
//! ```no_run
//! # use annalist::{Event, evolution};
//! # #[derive(Event, Clone)]
//! # #[event(category = "account")]
//! # enum AccountEvent {
//! #     #[event(name = "account-opened")] Opened,
//! #     #[event(name = "money-deposited")] Deposited { cents: u64 },
//! # }
//! // In a test:
//! evolution::lock(env!("CARGO_MANIFEST_DIR"))
//!     .events([AccountEvent::Opened, AccountEvent::Deposited { cents: 50 }])      // an example of each
//!     .check();
//! ```
//!
//! `ANNALIST_LOCK=update cargo test` writes what is missing; every other run, that of the CI above all, only compares.
//!
//! # What is refused
//!
//! Without a new version: a field that is removed, renamed or of another type, a new field that is required, a default
//! that is taken away, a category that changes; in any case: an event that is removed or renamed, a version that goes
//! back, an upcaster that is missing for a version that was locked, a sample that cannot be read, or that does not come
//! back whole when it is read and written again. Updating refuses it too: `events.lock` says what is in logs already.
//!
//! New events, new versions with their upcasters, new fields that are `Option` or have a `#[serde(default)]`, and tags
//! are compatible: the test asks to update the lock. Samples are never written again.
//!
//! # What it cannot see
//!
//! A field's type is compared as text, and so is the type of an event that holds one value. The lock does not see when
//! that type itself changes: the samples do, as far as they show it. Give examples with every `Option` filled in. Where
//! only Rust's name of a type changes, correct `events.lock` by hand: the diff shows that somebody meant it. The same
//! goes for an event that was never recorded: delete its block and its samples.

mod file;
mod lock;

mod compare;
mod golden;

mod check;

#[cfg(test)]
mod tests;

pub use crate::event::{EventSchema, FieldSchema, PayloadSchema};
pub use check::{EventsLock, lock};
pub use file::check_document;
pub(crate) use file::{Mode, check_text};
