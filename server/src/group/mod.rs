//! Consumer groups: members share the events of a query, each stream in order.

pub(crate) mod note;
mod ready;
pub(crate) mod run;
pub(crate) mod state;

use std::{collections::HashMap, sync::Arc};

use annalist_core::{Cursor, EventStore as _, Query, StoreError, locate};
use annalist_metrics::Metrics;
use annalist_store::Store;
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinSet,
};

use note::{Kept, Terms};
use ready::ReadyBytes;
use run::{Order, Run, Status};

use crate::{
    limits::{GROUP_NAME_BYTES_MAX, GROUP_ORDERS_MAX, GROUPS_MAX},
    metrics::GroupMeter,
    stopping::Stopping,
};

/// Why a group cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GroupError {
    /// The request is wrong.
    #[error("{0}")]
    Invalid(String),
    /// It has taken in what the log does not have any more.
    #[error(
        "the group `{name}` has taken in events up to {read}, which this log, whose head is {head}, does not have since it was \
         restored from a backup; it hands out nothing: remove it (`annalist groups remove`), and its next member makes it anew"
    )]
    Foreign { name: String, read: Cursor, head: Cursor },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a member brings: what a group is about, and where it begins if there is none of this name yet.
pub(crate) struct Wanted {
    pub(crate) terms: Terms,
    pub(crate) after: Cursor,
}

/// A group that runs, as others see it.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) terms: Terms,
    pub(crate) orders: mpsc::Sender<Order>,
    meter: Arc<GroupMeter>,
}

/// All groups of a server. Those that somebody has asked for run until it ends.
pub(crate) struct Groups {
    store: Store,
    stopping: Stopping,
    ready: ReadyBytes,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    groups: HashMap<String, Found>,
    tasks: JoinSet<()>,
}

impl Groups {
    pub(crate) fn new(store: &Store, stopping: &Stopping) -> Self {
        let (ready, running) = (ReadyBytes::default(), Mutex::default());
        Self { store: store.clone(), stopping: stopping.clone(), ready, running }
    }

    /// A group that is there; it is made if it is wanted.
    pub(crate) async fn find(&self, name: &str, wanted: Option<Wanted>) -> Result<Found, GroupError> {
        if name.is_empty() || name.len() > GROUP_NAME_BYTES_MAX {
            return Err(GroupError::Invalid(format!("the name of a group has 1 to {GROUP_NAME_BYTES_MAX} bytes")));
        }
        let mut running = self.running.lock().await;
        let agreed = |terms: &Terms| match &wanted {
            Some(wanted) if wanted.terms.query != terms.query => Err(GroupError::Invalid(format!(
                "the group `{name}` has another query ({}); take another name, or remove the group first",
                terms.query
            ))),
            _ => Ok(()),
        };
        let known = running.groups.get(name);
        if let Some(found) = known.filter(|found| !found.orders.is_closed()) {
            agreed(&found.terms)?;
            return Ok(found.clone());
        }
        // What one counted that has ended goes on.
        let meter = known.map(|found| Arc::clone(&found.meter)).unwrap_or_default();
        let kept = match note::load(&self.store, name).await? {
            Some(kept) => {
                agreed(&kept.terms)?;
                self.located(name, kept).await?
            }
            None => self.make(name, wanted).await?,
        };
        let (orders, receiver) = mpsc::channel(GROUP_ORDERS_MAX);
        let found = Found { terms: kept.terms.clone(), orders, meter: Arc::clone(&meter) };
        let run = Run::new(name.to_owned(), self.store.clone(), kept, receiver, meter, Arc::clone(&self.ready)).await?;
        while running.tasks.try_join_next().is_some() {}
        running.tasks.spawn(run.run(self.stopping.clone()));
        running.groups.insert(name.to_owned(), found.clone());
        Ok(found)
    }

    /// A group that was kept, in the log as it is now: that may have been restored since.
    async fn located(&self, name: &str, kept: Kept) -> Result<Kept, GroupError> {
        match locate(&self.store, kept.read).await {
            Ok(read) => Ok(Kept { read, ..kept }),
            Err(StoreError::ForeignCursor { cursor: read, head }) => {
                Err(GroupError::Foreign { name: name.to_owned(), read, head })
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn make(&self, name: &str, wanted: Option<Wanted>) -> Result<Kept, GroupError> {
        let Some(Wanted { terms, after }) = wanted else {
            return Err(GroupError::Invalid(format!(
                "there is no group `{name}`; it is made when its first member joins"
            )));
        };
        let mut names = note::names(&self.store).await?;
        if names.len() >= GROUPS_MAX {
            return Err(GroupError::Invalid(format!("there are {GROUPS_MAX} groups; remove one first")));
        }
        let read = locate(&self.store, after).await?;
        let kept = Kept { terms, read, unsettled: Vec::new() };
        note::save(&self.store, name, note::encode(&kept)?).await?;
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
            names.sort_unstable();
            note::save_names(&self.store, &names).await?;
        }
        Ok(kept)
    }

    /// How all of them are.
    pub(crate) async fn list(&self) -> Result<Vec<Status>, GroupError> {
        let mut all = Vec::new();
        for name in note::names(&self.store).await? {
            all.push(self.status(&name).await?);
        }
        Ok(all)
    }

    /// What those of them measure whose query may be shown. One that nobody has asked for since the server started begins to run, or its lag would not be
    /// known.
    pub(crate) async fn metrics(&self, may_be_shown: impl Fn(&Query) -> bool) -> Metrics {
        let mut metrics = Metrics::default();
        let (names, head) = (note::names(&self.store).await, self.store.head().await);
        let (Ok(names), Ok(head)) = (names, head) else { return metrics };
        for name in names {
            match self.find(&name, None).await {
                Ok(found) if !may_be_shown(&found.terms.query) => {}
                Ok(found) => found.meter.add_to(&mut metrics, &name, head.position.get()),
                Err(error) => tracing::debug!(group = name, %error, "a group cannot be measured"),
            }
        }
        metrics
    }

    /// How one of them is.
    pub(crate) async fn status(&self, name: &str) -> Result<Status, GroupError> {
        match self.find(name, None).await {
            Ok(found) => ask(&found.orders, Order::Describe).await,
            Err(error @ GroupError::Foreign { .. }) => self.status_of_foreign(name, &error).await,
            Err(error) => Err(error),
        }
    }

    /// How one is that does not run, as it was kept.
    async fn status_of_foreign(&self, name: &str, error: &GroupError) -> Result<Status, GroupError> {
        let gone = || GroupError::Invalid(format!("there is no group `{name}` any more"));
        let Kept { terms, read, unsettled } = note::load(&self.store, name).await?.ok_or_else(gone)?;
        let open = unsettled.iter().filter(|event| event.parked.is_none()).count();
        let (head, problem) = (self.store.head().await?, Some(error.to_string()));
        Ok(Status { name: name.to_owned(), terms, read, head, members: 0, open, parked: Vec::new(), problem })
    }

    /// Ends a group that has no members, and forgets it. With members it would begin anew at once, since they join again.
    pub(crate) async fn remove(&self, name: &str) -> Result<(), GroupError> {
        match self.find(name, None).await {
            Ok(found) => Self::end(name, &found.orders).await?,
            // It does not run, and has no members.
            Err(GroupError::Foreign { .. }) => {}
            Err(error) => return Err(error),
        }
        let mut running = self.running.lock().await;
        if running.groups.get(name).is_some_and(|found| !found.orders.is_closed()) {
            return Err(GroupError::Invalid(format!("a member of `{name}` came at the same moment; ask again")));
        }
        running.groups.remove(name);
        note::remove(&self.store, name).await?;
        let names = note::names(&self.store).await?;
        let names: Vec<String> = names.into_iter().filter(|known| known != name).collect();
        Ok(note::save_names(&self.store, &names).await?)
    }

    async fn end(name: &str, orders: &mpsc::Sender<Order>) -> Result<(), GroupError> {
        let members = ask(orders, Order::Describe).await?.members;
        if members > 0 {
            let why = format!("the group `{name}` has members ({members}), which would make it anew; end them first");
            return Err(GroupError::Invalid(why));
        }
        _ = orders.send(Order::End).await;
        // Until it has ended it may still keep what it knows.
        orders.closed().await;
        Ok(())
    }

    /// Waits until all have ended, which they do with the server.
    pub(crate) async fn ended(&self) {
        let mut running = self.running.lock().await;
        while running.tasks.join_next().await.is_some() {}
    }
}

/// Asks a group, and waits for its answer.
pub(crate) async fn ask<A>(
    orders: &mpsc::Sender<Order>,
    order: impl FnOnce(oneshot::Sender<A>) -> Order,
) -> Result<A, GroupError> {
    // It ends with the server, or begins again when it is asked for: nothing was done, and who asks again finds it.
    let gone = || GroupError::Store(StoreError::Closed);
    let (sender, answer) = oneshot::channel();
    orders.send(order(sender)).await.map_err(|_| gone())?;
    answer.await.map_err(|_| gone())
}
