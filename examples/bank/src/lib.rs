//! A bank. Read it in this order: `domain/account.rs`, `domain/limit.rs`, `domain/transfer.rs`, `domain/tests.rs`, `views/`, `bank.rs`, `main.rs`.

mod bank;

pub mod domain;
pub mod views;

pub use bank::{Bank, Failure, Outcome};
