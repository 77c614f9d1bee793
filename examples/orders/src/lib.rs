//! A record shop's orders: from a file through commands into an event store, from there into read models and out to NATS.
//!
//! Read the modules in this order.

pub mod domain;

pub mod figures;
pub mod read_models;

pub mod contracts;
pub mod integration;
pub mod nats_server;

pub mod progress;
pub mod rows;

pub mod import;
pub mod report;

pub mod shop;

pub mod fulfilment;

pub mod services;

pub mod fleet;

pub mod run;
