//! Consumer groups: members share the events of a query, each stream in order.

pub(crate) mod note;
pub(crate) mod run;
pub(crate) mod state;

use std::{collections::HashMap, sync::Arc};

use annalist_core::{Cursor, EventStore as _, Query, StoreError};
use annalist_metrics::Metrics;
use annalist_store::Store;
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinSet,
};

use note::{Kept, Terms};
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
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    groups: HashMap<String, Found>,
    tasks: JoinSet<()>,
}

impl Groups {
    pub(crate) fn new(store: &Store, stopping: &Stopping) -> Self {
        Self { store: store.clone(), stopping: stopping.clone(), running: Mutex::default() }
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
                kept
            }
            None => self.make(name, wanted).await?,
        };
        let (orders, receiver) = mpsc::channel(GROUP_ORDERS_MAX);
        let found = Found { terms: kept.terms.clone(), orders, meter: Arc::clone(&meter) };
        let run = Run::new(name.to_owned(), self.store.clone(), kept, receiver, meter).await?;
        while running.tasks.try_join_next().is_some() {}
        running.tasks.spawn(run.run(self.stopping.clone()));
        running.groups.insert(name.to_owned(), found.clone());
        Ok(found)
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
        let head = self.store.head().await?;
        if !after.fits(&head) {
            return Err(StoreError::ForeignCursor { cursor: after, head }.into());
        }
        let read = head.at(after.position);
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
        let orders = self.find(name, None).await?.orders;
        ask(&orders, Order::Describe).await
    }

    /// Ends a group that has no members, and forgets it. With members it would begin anew at once, since they join again.
    pub(crate) async fn remove(&self, name: &str) -> Result<(), GroupError> {
        let orders = self.find(name, None).await?.orders;
        let members = ask(&orders, Order::Describe).await?.members;
        if members > 0 {
            let why = format!("the group `{name}` has members ({members}), which would make it anew; end them first");
            return Err(GroupError::Invalid(why));
        }
        _ = orders.send(Order::End).await;
        // Until it has ended it may still keep what it knows.
        orders.closed().await;
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
