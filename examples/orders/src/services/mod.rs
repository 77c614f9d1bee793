//! The shop as services: orders, inventory, payments and shipping, and the payment provider, who is somebody else.
//!
//! Each is a process with a store of its own, that nobody else reads. What they say to each other are the integration events
//! in [`contracts`](crate::contracts), through NATS; only payments and the provider speak HTTP.
//! Each starts, and becomes ready, when all others are away.

pub mod kit;

pub mod inventory;
pub mod orders;
pub mod payments;
pub mod provider;
pub mod shipping;

use std::{error::Error, path::Path};

use clap::Subcommand;
use serde::{Deserialize, Serialize};

/// Which service to be.
#[derive(Clone, Debug, Subcommand)]
pub enum Serve {
    /// Takes orders and sees them through
    Orders(orders::Options),
    /// Keeps the CDs and sets them aside
    Inventory(inventory::Options),
    /// Takes the customers' money
    Payments(payments::Options),
    /// Has parcels fetched
    Shipping(shipping::Options),
    /// The payment provider: charges cards, and can be told to be slow, failing or down
    Provider(provider::Options),
}

impl Serve {
    /// Runs the service, whose state lies in a folder of its own in `dir`, until it is told to end.
    ///
    /// # Errors
    /// Whatever keeps it from starting, or from ending well.
    pub async fn run(self, dir: &Path) -> Result<(), Box<dyn Error>> {
        match &self {
            Self::Orders(options) => kit::run(orders::service(options, dir).await?, &options.common).await?,
            Self::Inventory(options) => kit::run(inventory::service(options, dir)?, &options.common).await?,
            Self::Payments(options) => kit::run(payments::service(options, dir)?, &options.common).await?,
            Self::Shipping(options) => kit::run(shipping::service(options, dir)?, &options.common).await?,
            Self::Provider(options) => kit::run(provider::service(options, dir)?, &options.common).await?,
        }
        Ok(())
    }
}

/// Never: what a service is asked it answers, also with a no; and the answer is recorded, so that it can be published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Never {}
