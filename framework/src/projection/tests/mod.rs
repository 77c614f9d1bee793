//! Projections on stores in memory; one file for each promise, and one that does it all on disk.

#![cfg(feature = "memory")]

mod bank;

#[cfg(feature = "embedded")]
mod disk;
mod exactly_once;
mod failures;
mod full;
mod given;
mod keys;
mod models;
mod parking;
mod reading;
mod rebuilds;
mod resumed;
mod rollbacks;
mod status;
mod tables;
mod together;
mod versions;
