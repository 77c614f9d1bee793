//! `annalist serve`: runs the store as a server.

use annalist_server::{Arguments, ServerError};

use crate::failure::{Done, Failure};

pub(crate) async fn run(arguments: Arguments) -> Result<Done, Failure> {
    annalist_server::serve(arguments).await.map(|()| Done::Well).map_err(|error| match error {
        ServerError::Open(error) => Failure::Open(error),
        ServerError::Configuration(error) => Failure::Configuration(error.to_string()),
        other => Failure::Other(other.to_string()),
    })
}
