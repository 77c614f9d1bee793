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

use annalist::Store;
use annalist_nats::Permissions;
use annalist_service::{Telemetry, architecture::Architecture};
use annalist_sql::Sqlite;
use clap::Subcommand;
use serde::{Deserialize, Serialize};

/// What the document of the architecture is called.
pub const TITLE: &str = "The architecture of the shop";

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
        // Before the service itself is made: opening a store has something to tell.
        let telemetry = Telemetry::of(self.name()).start()?;
        let (service, common) = match &self {
            Self::Orders(options) => (orders::service(options, dir).await?, &options.common),
            Self::Inventory(options) => (inventory::service(options, dir)?, &options.common),
            Self::Payments(options) => (payments::service(options, dir)?, &options.common),
            Self::Shipping(options) => (shipping::service(options, dir)?, &options.common),
            Self::Provider(options) => (provider::service(options, dir)?, &options.common),
        };
        Ok(kit::run(service.telemetry(telemetry), common).await?)
    }

    /// The name of the service.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Orders(_) => orders::NAME,
            Self::Inventory(_) => inventory::NAME,
            Self::Payments(_) => payments::NAME,
            Self::Shipping(_) => shipping::NAME,
            Self::Provider(_) => provider::NAME,
        }
    }
}

/// What each service may do at the broker: a part of the configuration of nats-server.
///
/// # Errors
/// Which name cannot be used, and why.
pub fn permissions() -> Result<String, String> {
    let options = kit::Options::default();
    let services = [
        options.permissions(inventory::TELLS, &[inventory::HEARS])?,
        options.permissions(orders::TELLS, &orders::HEARS)?,
        options.permissions(payments::TELLS, &[payments::HEARS])?,
        options.permissions(shipping::TELLS, &[shipping::HEARS])?,
    ];
    Ok(Permissions::account("shop", &services))
}

/// What the four are made of together, as they are wired. The provider is somebody else.
///
/// # Errors
/// When a view cannot be opened in `dir`, which is left with nothing of use.
pub async fn architecture(dir: &Path) -> Result<Architecture, Box<dyn Error>> {
    let (options, store) = (kit::Options::default(), Store::memory);
    let tracking = Sqlite::open::<orders::Tracking>(dir, orders::Tracking::TABLES).await?;
    Ok(Architecture::of([
        orders::describe(store(), &options, tracking),
        inventory::describe(store(), &options),
        payments::describe(store(), &options, "http://provider:8080")?,
        shipping::describe(store(), &options),
    ]))
}

/// Never: what a service is asked it answers, also with a no; and the answer is recorded, so that it can be published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Never {}
