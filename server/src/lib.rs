//! The store as a server: the protocol `annalist.v1` over gRPC, and plain HTTP, on one port.
//!
//! [`Server::start`] opens a store and listens; [`Running`] is what runs then, until it is told to end. `docs/server.md` in the
//! repository says what it promises, `annalist-proto` what it speaks. [`serve`] is all of it as a command.

mod clock;
mod limits;

mod revocation;
mod tls;

mod options;
mod settings;

mod metrics;

mod configuration;

mod principal;

mod answers;
mod audit;
mod health;
mod keys;
mod stopping;

mod group;

mod http;

mod io_threads;
mod lingering;

mod connections;

mod access;
mod deadline;
mod memory;
mod refresh;
mod requests;

mod grpc;

mod server;

mod command;

pub use command::{Arguments, runtime, serve};
pub use configuration::{Configuration, ConfigurationError, Configured, Origin};
pub use http::fingerprint;
pub use keys::new_key;
pub use metrics::METRICS;
pub use options::ServerOptions;
pub use principal::{Right, Role};
pub use server::{Running, Server, ServerError};
pub use tls::{TlsError, TlsOptions};
