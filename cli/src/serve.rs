//! `annalist serve`: runs the store as a server.

use annalist_server::{Arguments, ServerError};
use tracing_subscriber::EnvFilter;

use crate::failure::{Done, Failure};

pub(crate) async fn run(arguments: Arguments) -> Result<Done, Failure> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    annalist_server::serve(arguments).await.map(|()| Done::Well).map_err(|error| match error {
        ServerError::Open(error) => Failure::Open(error),
        ServerError::Configuration(error) => Failure::Configuration(error.to_string()),
        other => Failure::Other(other.to_string()),
    })
}
