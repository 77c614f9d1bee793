//! What the services have in common: where their things are, and how they speak to the broker.

mod api;
mod backups;
mod described;
mod trace;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use annalist::{
    OpenError, Store,
    inbox::{HandleError, Inbox, InboxOptions},
};
use annalist_nats::{Jetstream, JetstreamConsumer, JetstreamOptions, Permissions};
use annalist_service::{Problem, Service, ServiceError, outbound::BuildError};
use annalist_store::KeyValue;
use axum::http::StatusCode;
use signal_hook::consts::SIGTERM;

pub use api::Api;
pub use backups::{BackupArguments, backed_up};
pub use trace::{Traced, trace_routes};

use crate::domain::{NotA, OrderId};

/// The longest pause before a message is tried again, or the broker: the whole shop waits for it.
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// Messages that are handled at the same time. Each waits for the disk, and all that wait together share one sync.
const HANDLERS_MAX: usize = 128;

/// Messages that are taken from the broker and not yet acknowledged.
const IN_FLIGHT_MAX: usize = 1024;

/// What every service is told.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Where to listen [default: a port of its own from 8081 on, of this machine alone]
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// The NATS server; it may come and go
    #[arg(long, env = "NATS_URL", hide_env_values = true, default_value = "nats://127.0.0.1:4222")]
    pub nats: String,
    /// On how many servers of the broker each message lies, of streams that are made
    #[arg(long, env = "NATS_REPLICAS", default_value_t = 1)]
    pub nats_replicas: usize,
    /// End, in order, when the standard input does: for a program that starts services, so that none outlives it
    #[arg(long)]
    pub attached: bool,
    /// Where backups of its store go, and when.
    #[command(flatten)]
    pub backups: BackupArguments,
}

impl Default for Options {
    fn default() -> Self {
        let nats = "nats://127.0.0.1:4222".to_owned();
        Self { listen: None, nats, nats_replicas: 1, attached: false, backups: BackupArguments::default() }
    }
}

/// Where a service tells others what happened.
#[derive(Clone, Copy, Debug)]
pub struct Tells {
    /// Who tells.
    pub service: &'static str,
    /// Its stream at the broker, which nobody else publishes to.
    pub stream: &'static str,
}

/// What a service hears from another.
#[derive(Clone, Copy, Debug)]
pub struct Hears {
    /// Its inbox.
    pub inbox: &'static str,
    /// The stream of the other.
    pub stream: &'static str,
    /// What it wants of that.
    pub subjects: &'static str,
}

/// Why a service is not made.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The store cannot be opened; another process may have it open.
    #[error("cannot open the store in {dir}")]
    Open {
        /// Where it lies.
        dir: PathBuf,
        /// Why.
        source: OpenError,
    },
    /// A view in SQL cannot be opened.
    #[error("cannot open the view in {dir}")]
    View {
        /// Where it lies.
        dir: PathBuf,
        /// Why.
        source: annalist_sql::SqlError,
    },
    /// The provider cannot be called where it is said to be.
    #[error(transparent)]
    Provider(#[from] BuildError),
}

impl Options {
    /// Where the service listens: where it is told to, or at a port of this machine alone.
    #[must_use]
    pub fn listen(&self, port: u16) -> SocketAddr {
        self.listen.unwrap_or_else(|| ([127, 0, 0, 1], port).into())
    }

    /// Publishes what a service tells to its stream.
    #[must_use]
    pub fn publisher(&self, told: Tells) -> Jetstream {
        Jetstream::at(self.nats.clone()).stream(told.stream).options(self.jetstream(told.service))
    }

    /// Consumes what a service hears.
    #[must_use]
    pub fn consumer(&self, service: &str, heard: Hears) -> JetstreamConsumer {
        let consumer = JetstreamConsumer::at(self.nats.clone()).stream(heard.stream).filter(heard.subjects);
        consumer.context(service).options(self.jetstream(service))
    }

    /// An inbox of what a service hears.
    pub fn inbox(&self, service: &str, heard: Hears) -> Inbox {
        let mut options = InboxOptions::default();
        (options.handlers_max, options.in_flight_max) = (HANDLERS_MAX, IN_FLIGHT_MAX);
        options.backoff_max = BACKOFF_MAX;
        Inbox::named(heard.inbox).from(self.consumer(service, heard)).options(options)
    }

    /// What each of them sees of the broker's answers is its own.
    fn jetstream(&self, service: &str) -> JetstreamOptions {
        let mut options = JetstreamOptions::default();
        options.replicas = self.nats_replicas;
        options.reply_prefix = Some(format!("_INBOX_{service}"));
        options
    }

    /// What a service may do at the broker: tell what it tells, hear what it hears, and nothing else. Its password is taken
    /// from the environment of the server.
    ///
    /// # Errors
    /// Which name cannot be used, and why.
    pub fn permissions(&self, told: Tells, heard: &[Hears]) -> Result<Permissions, String> {
        let password = format!("${}_PASSWORD", told.service.to_uppercase());
        let mut permissions = Permissions::of(told.service, password).publisher(&self.publisher(told));
        for heard in heard {
            permissions = permissions.consumer(heard.inbox, &self.consumer(told.service, *heard))?;
        }
        Ok(permissions)
    }
}

/// Runs a service until it is told to end, or its standard input ends if it is attached to that.
///
/// # Errors
/// [`ServiceError`] when it does not start, or did not end as it should.
pub async fn run(service: Service, options: &Options) -> Result<(), ServiceError> {
    if options.attached {
        // A thread of its own: reading the standard input cannot be interrupted, and nothing may wait for it.
        thread::spawn(|| {
            _ = io::copy(&mut io::stdin(), &mut io::sink());
            _ = signal_hook::low_level::raise(SIGTERM);
        });
    }
    service.run().await
}

/// The store of a service, in a folder of its own in `dir`, for its app; and once more, to make backups of it. Its lock keeps a
/// second process out.
///
/// # Errors
/// [`ServeError::Open`] when it cannot be opened.
pub fn store(dir: &Path, service: &str) -> Result<(Store, annalist_store::Store), ServeError> {
    let dir = dir.join(service).join("data");
    let opened = annalist_store::Store::open(&dir).and_then(|log| Ok((KeyValue::open(dir.join("views"))?, log)));
    let (views, log) = opened.map_err(|source| ServeError::Open { dir, source })?;
    Ok((Store::opened(log.clone(), views), log))
}

/// Where the store of a service lies, in the folder of the deployment.
#[must_use]
pub fn store_path(service: &str) -> String {
    format!("/data/{service}/data")
}

/// The order that a message is about.
///
/// # Errors
/// [`HandleError::Refuse`] when it is no order's number.
pub fn number(order: &str) -> Result<OrderId, HandleError> {
    order.parse().map_err(|not: NotA| HandleError::refuse(not))
}

/// There is nothing of that name.
#[must_use]
pub fn not_found(what: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND).kind("not-found", format!("There is no such {what}"))
}

/// What a request says cannot be understood.
#[must_use]
pub fn bad_request(why: impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST)
        .kind("bad-request", "The request cannot be understood")
        .detail(why.to_string())
}
