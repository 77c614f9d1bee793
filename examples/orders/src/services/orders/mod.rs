//! The orders service: takes orders, sees them through with the help of the other three, and knows how each stands.

mod errand;
mod http;
mod messages;
mod purchase;
mod tracking;

#[cfg(test)]
mod tests;

use std::{num::NonZeroU32, path::Path, time::Duration};

use annalist::{App, AppBuilder, Store, outbox::Outbox};
use annalist_service::{ApiVersion, Service, architecture::ServiceDescription};
use annalist_sql::Sqlite;

pub use errand::{Ask, Errand, ErrandEvent, Note, Request, Said, Topic};
pub use http::{OrderList, PlaceOrder};
pub use messages::{HEARS, NAME, TELLS};
pub use purchase::{OrdersEvent, Purchase};
pub use tracking::{OrderStatus, OrdersTotals, Tracking};

use super::kit::{self, ServeError};
use crate::{
    contracts::{OrdersPublic, ToInventory, ToPayments, ToShipping},
    domain::{OrdersOfCustomer, PlaceInTurn},
    integration::{public_events, public_types},
};

/// How it is started.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pub(super) common: kit::Options,
    /// How long each of the other services may take to answer about an order before it is cancelled, in milliseconds
    /// [default: 30000]
    #[arg(long, env = "ORDERS_PATIENCE_MS")]
    patience_ms: Option<NonZeroU32>,
}

/// What it consists of.
pub fn wiring(store: Store, options: &kit::Options, tracking: Sqlite) -> AppBuilder {
    let publisher = options.publisher(messages::TELLS).subject(messages::subject);
    let outbox = Outbox::new(publisher).map_events(public_events).map_events(messages::requests);
    let types = [
        public_types::<OrdersPublic>(),
        public_types::<ToInventory>(),
        public_types::<ToPayments>(),
        public_types::<ToShipping>(),
    ];
    let app = App::open(store)
        .scope::<OrdersOfCustomer, PlaceInTurn>()
        .command::<Errand, Note>()
        .workflow::<Purchase>()
        .projection_with(Tracking, tracking)
        .outbox(types.into_iter().flatten().fold(outbox, Outbox::publishes));
    messages::inboxes(options).into_iter().fold(app, AppBuilder::inbox)
}

/// The service, not yet started.
///
/// # Errors
/// [`ServeError`] when its store, or its view, cannot be opened.
pub async fn service(options: &Options, dir: &Path) -> Result<Service, ServeError> {
    let Options { common, patience_ms } = options;
    if let Some(patience) = patience_ms {
        purchase::be_patient(Duration::from_millis(patience.get().into()));
    }
    let ((store, log), dir) = (kit::store(dir, NAME)?, dir.join(NAME).join("tracking"));
    let tracking = Sqlite::open::<Tracking>(&dir, Tracking::TABLES).await;
    let tracking = tracking.map_err(|source| ServeError::View { dir, source })?;
    let app = wiring(store, common, tracking.clone());
    let routes = move |app| http::routes(app, tracking);
    let service = Service::new(NAME, app)
        .version(ApiVersion::new("v1"), routes)
        .routes(kit::trace_routes(NAME))
        .operations(http::operation);
    Ok(kit::backed_up(service, NAME, log, &common.backups).listen(common.listen(8081)))
}

/// What it is made of, for the document of the architecture.
#[must_use]
pub fn describe(store: Store, options: &kit::Options, tracking: Sqlite) -> ServiceDescription {
    let service = Service::new(NAME, wiring(store, options, tracking)).describe();
    let service =
        service.purpose("takes orders, sees each through stock, payment and parcel, and tells customers how it stands");
    service.store(kit::store_path(NAME)).routes(http::api().describe())
}
