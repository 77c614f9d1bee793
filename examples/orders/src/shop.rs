//! The wiring: the one place that names everything.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use annalist::{
    App, AppBuilder, Cursor, OpenError, Position, StartError, Store, StoreError,
    outbox::{Outbox, Publisher, Relay},
    projection::ViewError,
};
use annalist_nats::{Jetstream, published};
use tokio::time::timeout;

use crate::{
    contracts::OrdersPublic,
    domain::{Order, Pay, Place, Ship},
    figures::Figures,
    integration::{Offline, public_events, public_types},
    nats_server::{NatsServer, NatsServerError},
    progress::Progress,
    read_models::{Customers, OpenOrders, Sales},
};

/// The JetStream stream that the integration events go to.
pub const STREAM: &str = "ORDERS";

/// How long the read models may take for what is left when the import is through.
const VIEWS_PATIENCE: Duration = Duration::from_mins(10);
/// How long the broker may take for its next step before the run ends without it.
const BROKER_PATIENCE: Duration = Duration::from_secs(20);

/// Which broker to publish to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nats {
    /// None: events wait in the log.
    Off,
    /// The one at this address.
    At(String),
    /// A server of our own, beside the data.
    Local,
}

/// The running shop.
#[derive(Debug)]
pub struct Shop {
    /// Its commands and read models.
    pub app: App,
    /// The broker's address; `None` if there is none.
    pub nats_url: Option<String>,
    server: Option<NatsServer>,
}

/// Why the shop does not work.
#[derive(Debug, thiserror::Error)]
pub enum ShopError {
    /// The store cannot be opened; another run may have it open.
    #[error("cannot open the store in {dir}")]
    Open {
        /// Where it lies.
        dir: PathBuf,
        /// Why.
        source: OpenError,
    },
    /// The projections did not start.
    #[error("the shop does not start")]
    Start(#[from] StartError),
    /// The store was not closed as it should; what was acknowledged is safe.
    #[error("the store was not closed well")]
    Close(#[from] StoreError),
    /// The local broker does not work.
    #[error(transparent)]
    Nats(#[from] NatsServerError),
}

impl Shop {
    /// Opens the shop that lies in `dir` and starts its read models and its outbox.
    ///
    /// # Errors
    /// [`ShopError`] says what does not start.
    pub async fn open(dir: &Path, nats: Nats) -> Result<Self, ShopError> {
        let data = dir.join("data");
        // The store's lock comes first: whoever holds it owns the whole directory, the NATS server included.
        let store = Store::embedded(&data).map_err(|source| ShopError::Open { dir: data, source })?;
        let (nats_url, server) = match nats {
            Nats::Off => (None, None),
            Nats::At(url) => (Some(url), None),
            Nats::Local => {
                let server = NatsServer::start(&dir.join("nats")).await?;
                (Some(server.url.clone()), Some(server))
            }
        };
        match (wiring(store, nats_url.as_deref()).start().await, server) {
            (Ok(app), server) => Ok(Self { app, nats_url, server }),
            (Err(error), None) => Err(error.into()),
            (Err(error), Some(server)) => server.stop().await.map_err(ShopError::from).and(Err(error.into())),
        }
    }

    /// What the read models say when they have seen everything up to `head`.
    ///
    /// # Errors
    /// [`ViewError`] when a read model does not come so far.
    pub async fn figures(&self, head: Cursor) -> Result<Figures, ViewError> {
        Figures::read(self.app.projections(), head, VIEWS_PATIENCE).await
    }

    /// Waits until everything up to `head` is published: with a broker, as long as it takes something now and then.
    /// Returns how many events still wait.
    pub async fn publish_until(&self, head: Position, stop: impl Future<Output = ()>) -> u64 {
        let [relay] = self.app.relays() else { return 0 };
        if self.nats_url.is_some() {
            tokio::select! {
                biased;
                () = stop => {}
                () = drain(relay, head) => {}
            }
        }
        head.get().saturating_sub(relay.started().await.scanned.position.get())
    }

    /// What the relay says of itself.
    #[must_use]
    pub fn relay_text(&self) -> String {
        self.app.relays().iter().map(|relay| relay.status().to_string()).collect()
    }

    /// How many messages the broker holds; `None` if there is none that can be asked.
    pub async fn published(&self) -> Option<u64> {
        let url = self.nats_url.as_deref()?;
        published(url, STREAM).await.ok().map(|stored| stored.count())
    }

    /// Finishes what is in flight and closes everything.
    ///
    /// # Errors
    /// [`ShopError`] when something did not end well; nothing acknowledged is lost.
    pub async fn close(self) -> Result<(), ShopError> {
        self.app.shutdown().await?;
        match self.server {
            Some(server) => Ok(server.stop().await?),
            None => Ok(()),
        }
    }
}

/// What the shop consists of; `docs/wiring.md` shows it. Without a broker's address events wait in the log.
pub fn wiring(store: Store, nats_url: Option<&str>) -> AppBuilder {
    App::open(store)
        .command::<Order, Place>()
        .command::<Order, Pay>()
        .command::<Order, Ship>()
        .projection(Sales)
        .projection(Customers)
        .projection(OpenOrders)
        .outbox(outbox(nats_url))
}

/// Waits until the relay has come to `head`, has stopped, or has done nothing for a while.
async fn drain(relay: &Relay, head: Position) {
    let mut watch = relay.watch();
    let begun_at = watch.borrow().scanned.position;
    let mut progress = Progress::begin("events published", begun_at.get(), head.get());
    let mut last_step = (0, Instant::now());
    loop {
        let status = watch.borrow_and_update().clone();
        let scanned = status.scanned.position.get();
        progress.done(scanned);
        if scanned > last_step.0 {
            last_step = (scanned, Instant::now());
        }
        if status.scanned.position >= head || status.stopped().is_some() || last_step.1.elapsed() > BROKER_PATIENCE {
            break;
        }
        _ = timeout(BROKER_PATIENCE, watch.changed()).await;
    }
    progress.end();
}

fn outbox(url: Option<&str>) -> Outbox {
    let jetstream = Jetstream::at(url.unwrap_or_default()).stream(STREAM);
    let outbox = match url {
        Some(_) => Outbox::new(jetstream),
        None => Outbox::new(Offline { name: jetstream.name() }),
    };
    public_types::<OrdersPublic>().into_iter().fold(outbox.map_events(public_events), Outbox::publishes)
}
