//! The payment provider: somebody else, whom the payments service asks. It charges a card once for an order, remembers that
//! in a store of its own, and can be told to be slow, failing or down.

mod http;
mod mood;

use std::path::Path;

use annalist::{App, AppBuilder, Store};
use annalist_service::{ApiVersion, Service};

pub use http::{Charge, Refunded};
pub use mood::Mood;

use super::{
    kit::{self, ServeError},
    payments::{AnswerCharge, AnswerRefund, Takings},
};
use crate::{domain::Cents, fulfilment::Payment};

/// The service.
pub const NAME: &str = "provider";

/// How it is started.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pub(super) common: kit::Options,
    /// The most that a card is good for, in dollars
    #[arg(long, default_value = "150.00")]
    card_max: Cents,
}

/// What it consists of. Its books are like those of its customer, kept by itself.
pub fn wiring(store: Store) -> AppBuilder {
    App::open(store).command::<Payment, AnswerCharge>().command::<Payment, AnswerRefund>().projection(Takings)
}

/// The service, not yet started.
///
/// # Errors
/// [`ServeError`] when its store cannot be opened.
pub fn service(options: &Options, dir: &Path) -> Result<Service, ServeError> {
    let Options { common, card_max } = options;
    let ((store, log), card_max) = (kit::store(dir, NAME)?, *card_max);
    let routes = move |app| http::routes(app, card_max);
    let service = Service::new(NAME, wiring(store))
        .version(ApiVersion::new("v1"), routes)
        .routes(kit::trace_routes(NAME))
        .listen(common.listen(8085));
    Ok(kit::backed_up(service, NAME, log, &common.backups))
}
