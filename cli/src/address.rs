//! Where a server is.

use std::path::PathBuf;

use annalist_client::{ApiKey, Identity, RemoteOptions, RemoteStore};
use clap::Args;

use crate::failure::Failure;

/// The server that a command is about.
#[derive(Args, Debug)]
pub(crate) struct Address {
    /// The server: `http://host:port` or `https://host:port`.
    server: String,
    #[command(flatten)]
    connection: Connection,
}

impl Address {
    /// Will ask there.
    pub(crate) fn connect(&self) -> Result<RemoteStore, Failure> {
        self.connection.to(&self.server)
    }
}

/// How to connect to a server.
#[derive(Args, Debug)]
#[command(next_help_heading = "Server")]
pub(crate) struct Connection {
    /// The key that the server asks for. Give it by the environment: a command line can be seen by others.
    #[arg(long, env = "ANNALIST_KEY", hide_env_values = true)]
    key: Option<String>,
    /// The authority that the server's certificate must come from, a PEM file; without it, those that the system trusts.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// The certificate that the server asks for, a PEM file.
    #[arg(long, requires = "cert_key")]
    cert: Option<PathBuf>,
    /// The private key of the certificate, a PEM file.
    #[arg(long, requires = "cert")]
    cert_key: Option<PathBuf>,
}

impl Connection {
    pub(crate) fn to(&self, server: &str) -> Result<RemoteStore, Failure> {
        let mut options = RemoteOptions::default();
        options.key = self.key.as_deref().map(ApiKey::new);
        options.ca.clone_from(&self.ca);
        options.identity = self.cert.clone().zip(self.cert_key.clone()).map(|(cert, key)| Identity::new(cert, key));
        RemoteStore::connect_with(server, options).map_err(|error| Failure::Configuration(error.to_string()))
    }
}
