//! Who shares the work of a consumer group.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use annalist_client::{GroupDelivery, GroupOptions, RemoteStore};
use annalist_core::Query;
use tokio::{sync::watch, time::sleep};

use super::{
    Wrong,
    ledger::{Goal, category, is_right},
};

/// How often a member looks whether everything is done, once there is an end.
const LOOK: Duration = Duration::from_millis(50);
/// After how many events a member leaves and comes back.
const STAYS: u64 = 500;
/// Of so many events it refuses one, for a moment.
const REFUSES: u64 = 50;

/// A group, and what all its members have had.
pub(super) struct Group {
    of: usize,
    had: Mutex<Had>,
}

#[derive(Default)]
struct Had {
    /// Of each stream, the version that nobody has had yet.
    next: HashMap<String, u64>,
    /// How many events at least one has had.
    count: u64,
}

fn options() -> GroupOptions {
    let mut options = GroupOptions::default();
    // The server dies more often than an event may fail, and what is with a member then has had an attempt.
    options.attempts_max = u32::MAX;
    options.answer_within = Duration::from_secs(10);
    options
}

impl Group {
    pub(super) fn new(of: usize) -> Self {
        Self { of, had: Mutex::default() }
    }

    fn name(&self) -> String {
        format!("work-{}", category(self.of))
    }

    /// A member has an event. It may have come before, but none of its stream may have been left out.
    fn has(&self, delivery: &GroupDelivery) -> Result<(), Wrong> {
        let event = delivery.event();
        is_right(event)?;
        let mut had = self.had.lock().unwrap_or_else(PoisonError::into_inner);
        let next = had.next.entry(event.stream().to_owned()).or_insert(1);
        let version = event.version.get();
        if version > *next {
            return Err(format!("version {version} of {} was handed out before version {next}", event.stream()));
        }
        if version == *next {
            *next += 1;
            had.count += 1;
        }
        Ok(())
    }

    fn is_done(&self, goal: &Goal) -> bool {
        self.had.lock().unwrap_or_else(PoisonError::into_inner).count >= goal.events(Some(self.of))
    }
}

/// Takes events and answers for them, until its group has had all there is.
pub(super) async fn work(
    store: RemoteStore,
    member: usize,
    group: Arc<Group>,
    goal: watch::Receiver<Option<Arc<Goal>>>,
) -> Result<(), Wrong> {
    let join = || store.group(&group.name(), Query::category(category(group.of)), &options());
    let (mut joined, mut taken) = (join(), member as u64);
    loop {
        if goal.borrow().as_ref().is_some_and(|goal| group.is_done(goal)) {
            return Ok(());
        }
        let delivery = tokio::select! {
            delivery = joined.next() => delivery.map_err(|error| error.to_string())?,
            () = sleep(LOOK) => continue,
        };
        group.has(&delivery)?;
        taken += 1;
        if taken % REFUSES == 0 {
            delivery.nack(Duration::from_millis(20), "not now").await;
        } else {
            delivery.ack().await;
        }
        if taken % STAYS == 0 {
            joined = join();
        }
    }
}

/// Takes one more event of a group that has some left, if it comes soon.
pub(super) async fn settle(store: &RemoteStore, name: &str, query: &Query) -> Result<(), Wrong> {
    let mut joined = store.group(name, query.clone(), &options());
    while let Ok(delivery) = tokio::time::timeout(LOOK * 10, joined.next()).await {
        delivery.map_err(|error| error.to_string())?.ack().await;
    }
    Ok(())
}
