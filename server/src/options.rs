//! How a server is to behave.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use annalist_proto::PORT;
use annalist_store::StoreOptions;
use serde::{Deserialize, Serialize};

/// Settings of a server. Everything has a default: without any it listens on loopback and stores in `./data`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ServerOptions {
    /// Where it listens. Port 0: any that is free. Default: `127.0.0.1:2665`. Since 0.1.
    pub listen: SocketAddr,
    /// The folder of the store, made if need be. Default: `data`. Since 0.1.
    pub data: PathBuf,
    /// How the store is to behave. Since 0.1.
    pub store: StoreOptions,
}

impl Default for ServerOptions {
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
        Self { listen, data: PathBuf::from("data"), store: StoreOptions::default() }
    }
}
