//! Services over real HTTP, in one process.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod account;

mod correlation;
mod ending;
mod faults;
mod health;
mod requests;
