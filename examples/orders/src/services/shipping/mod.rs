//! The shipping service: has parcels fetched.

mod answers;
mod http;
mod messages;
mod view;

#[cfg(test)]
mod tests;

use std::path::Path;

use annalist::{App, AppBuilder, Store, outbox::Outbox};
use annalist_service::{ApiVersion, Service, architecture::ServiceDescription};

pub use answers::{AnswerCancellation, AnswerShipment};
pub use http::ShipmentStatus;
pub use messages::{HEARS, NAME, TELLS};
pub use view::{Parcels, SHIPMENTS, ShippingTotals, TOTALS};

use super::kit::{self, ServeError};
use crate::{contracts::ShippingPublic, fulfilment::Shipment, integration::public_types};

/// How it is started.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pub(super) common: kit::Options,
    /// The most CDs that fit into a parcel
    #[arg(long, default_value_t = crate::fulfilment::PARCEL_CDS_MAX)]
    parcel_max: u32,
}

/// What it consists of.
pub fn wiring(store: Store, options: &kit::Options, parcel_max: u32) -> AppBuilder {
    let outbox = options.publisher(messages::TELLS).map(messages::public);
    App::open(store)
        .command::<Shipment, AnswerShipment>()
        .command::<Shipment, AnswerCancellation>()
        .projection(Parcels)
        .outbox(public_types::<ShippingPublic>().into_iter().fold(outbox, Outbox::publishes))
        .inbox(messages::inbox(options, parcel_max))
}

/// The service, not yet started.
///
/// # Errors
/// [`ServeError`] when its store cannot be opened.
pub fn service(options: &Options, dir: &Path) -> Result<Service, ServeError> {
    let Options { common, parcel_max } = options;
    let (store, log) = kit::store(dir, NAME)?;
    let service = Service::new(NAME, wiring(store, common, *parcel_max))
        .version(ApiVersion::new("v1"), http::routes)
        .routes(kit::trace_routes(NAME))
        .listen(common.listen(8084));
    Ok(kit::backed_up(service, NAME, log, &common.backups))
}

/// What it is made of, for the document of the architecture.
#[must_use]
pub fn describe(store: Store, options: &kit::Options) -> ServiceDescription {
    let service = Service::new(NAME, wiring(store, options, crate::fulfilment::PARCEL_CDS_MAX)).describe();
    let service = service.purpose("has parcels fetched");
    service.store(kit::store_path(NAME)).routes(http::api().describe())
}
