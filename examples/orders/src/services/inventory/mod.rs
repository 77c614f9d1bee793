//! The inventory service: CDs on shelves, set aside for orders.

mod answers;
mod http;
mod messages;
mod view;

#[cfg(test)]
mod tests;

use std::path::Path;

use annalist::{App, AppBuilder, Store};
use annalist_service::{ApiVersion, Service, architecture::ServiceDescription};

pub use answers::{AnswerRelease, AnswerReservation};
pub use http::{Delivery, Reservation};
pub use messages::{HEARS, NAME, TELLS};
pub use view::{InventoryTotals, RESERVED, Shelves, TOTALS};

use super::kit::{self, ServeError};
use crate::{
    contracts::InventoryPublic,
    fulfilment::{Deliver, Stock},
    integration::public_types,
};

/// How it is started.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pub(super) common: kit::Options,
}

/// What it consists of.
pub fn wiring(store: Store, options: &kit::Options) -> AppBuilder {
    let outbox = options.publisher(messages::TELLS).map(messages::public);
    let outbox = public_types::<InventoryPublic>().into_iter().fold(outbox, annalist::outbox::Outbox::publishes);
    App::open(store)
        .command::<Stock, Deliver>()
        .command::<Stock, AnswerReservation>()
        .command::<Stock, AnswerRelease>()
        .projection(Shelves)
        .outbox(outbox)
        .inbox(messages::inbox(options))
}

/// The service, not yet started.
///
/// # Errors
/// [`ServeError`] when its store cannot be opened.
pub fn service(options: &Options, dir: &Path) -> Result<Service, ServeError> {
    let common = &options.common;
    let (store, log) = kit::store(dir, NAME)?;
    let service = Service::new(NAME, wiring(store, common))
        .version(ApiVersion::new("v1"), http::routes)
        .routes(kit::trace_routes(NAME))
        .listen(common.listen(8082));
    Ok(kit::backed_up(service, NAME, log, &common.backups))
}

/// What it is made of, for the document of the architecture.
#[must_use]
pub fn describe(store: Store, options: &kit::Options) -> ServiceDescription {
    let service = Service::new(NAME, wiring(store, options)).describe();
    let service = service.purpose("keeps the CDs on their shelves, and sets them aside for orders");
    service.store(kit::store_path(NAME)).routes(http::api().describe())
}
