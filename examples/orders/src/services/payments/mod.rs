//! The payments service: charges the customers' cards, by way of the provider, and gives the money back.

mod answers;
mod http;
mod messages;
mod provider;
mod view;

#[cfg(test)]
mod tests;

use std::path::Path;

use annalist::{App, AppBuilder, Store, outbox::Outbox};
use annalist_service::{
    ApiVersion, Service,
    architecture::ServiceDescription,
    outbound::{BuildError, Clients, OutboundClient},
};

pub use answers::{AnswerCharge, AnswerRefund, Owed, Verdict};
pub use http::PaymentStatus;
pub use messages::{HEARS, NAME, TELLS};
pub use provider::provider_client;
pub use view::{PAYMENTS, PaymentTotals, TOTALS, Takings};

use super::kit::{self, ServeError};
use crate::{contracts::PaymentsPublic, fulfilment::Payment, integration::public_types};

/// How it is started.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pub(super) common: kit::Options,
    /// Where the payment provider is
    #[arg(long, default_value = "http://127.0.0.1:8085")]
    provider: String,
}

/// What it consists of.
pub fn wiring(store: Store, options: &kit::Options, provider: OutboundClient) -> AppBuilder {
    let outbox = options.publisher(messages::TELLS).map(messages::public);
    App::open(store)
        .command::<Payment, Owed>()
        .command::<Payment, AnswerCharge>()
        .command::<Payment, AnswerRefund>()
        .projection(Takings)
        .outbox(public_types::<PaymentsPublic>().into_iter().fold(outbox, Outbox::publishes))
        .inbox(messages::inbox(options, provider))
}

/// The service, not yet started.
///
/// # Errors
/// [`ServeError`] when its store cannot be opened, or the provider cannot be where it is said to be.
pub fn service(options: &Options, dir: &Path) -> Result<Service, ServeError> {
    let Options { common, provider } = options;
    let clients = Clients::default();
    let provider = provider_client(&clients, provider)?;
    let (store, log) = kit::store(dir, NAME)?;
    let app = wiring(store, common, provider);
    let service = Service::new(NAME, app).version(ApiVersion::new("v1"), http::routes).routes(kit::trace_routes(NAME));
    let service = service.clients(&clients).listen(common.listen(8083));
    Ok(kit::backed_up(service, NAME, log, &common.backups))
}

/// What it is made of, for the document of the architecture.
///
/// # Errors
/// [`BuildError`] when the provider cannot be where it is said to be.
pub fn describe(store: Store, options: &kit::Options, provider: &str) -> Result<ServiceDescription, BuildError> {
    let clients = Clients::default();
    let provider = provider_client(&clients, provider)?;
    let service = Service::new(NAME, wiring(store, options, provider)).clients(&clients).describe();
    let service = service.purpose("takes the customers' money by way of the provider, and gives it back");
    Ok(service.store(kit::store_path(NAME)).routes(http::api().describe()))
}
