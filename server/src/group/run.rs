//! A group at work: one task, which owns what the group knows, follows its query, and keeps what changes.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use annalist_core::{Cursor, Delivery, EventStore as _, Position, Read, RecordedEvent, StoreError, Subscription};
use annalist_store::Store;
use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::{
    note::{self, Kept, Terms},
    ready::{Ready, ReadyBytes},
    state::{Group, HandedOut, Member, Parked, Rules},
};
use crate::{
    limits::{GROUP_NOTE_BYTES_MAX, GROUP_OPEN_MAX, GROUP_PARKED_MAX, GROUP_SAVE_BYTES, GROUP_SAVE_INTERVAL},
    metrics::GroupMeter,
    stopping::Stopping,
};

/// An event for a member, and which attempt at it this is.
pub(crate) type Handed = (RecordedEvent, u32);

/// How a group is.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    pub(crate) name: String,
    pub(crate) terms: Terms,
    pub(crate) read: Cursor,
    pub(crate) head: Cursor,
    pub(crate) members: usize,
    pub(crate) open: usize,
    pub(crate) parked: Vec<Parked>,
    /// Why it hands out nothing, if that is so.
    pub(crate) problem: Option<String>,
}

/// What a group can be told.
pub(crate) enum Order {
    /// A member comes. The answer is its number.
    Join {
        most: usize,
        events: mpsc::Sender<Handed>,
        joined: oneshot::Sender<Member>,
    },
    /// It goes; whether it said so.
    Leave {
        member: Member,
        said_so: bool,
    },
    Ack(HandedOut),
    Nack {
        handed: HandedOut,
        delay: Duration,
        why: String,
    },
    Describe(oneshot::Sender<Status>),
    /// Of a parked event, or of all. The answer is how many, once that is kept.
    Replay {
        position: Option<u64>,
        done: oneshot::Sender<usize>,
    },
    Skip {
        position: Option<u64>,
        done: oneshot::Sender<usize>,
    },
    /// It is removed: nothing is kept any more.
    End,
}

/// A group that runs.
pub(crate) struct Run {
    name: String,
    store: Store,
    terms: Terms,
    group: Group,
    read: Cursor,
    subscription: Box<dyn Subscription>,
    orders: mpsc::Receiver<Order>,
    members: HashMap<Member, mpsc::Sender<Handed>>,
    next_member: Member,
    /// Events that will be handed out. Those that are not here are read again.
    ready: Ready,
    began: Instant,
    /// Since when something may not be kept.
    dirty: Option<Instant>,
    /// What is kept. The lanes hold more than it does.
    note: Bytes,
    meter: Arc<GroupMeter>,
}

impl Run {
    /// As it was kept.
    pub(crate) async fn new(
        name: String,
        store: Store,
        kept: Kept,
        orders: mpsc::Receiver<Order>,
        meter: Arc<GroupMeter>,
        all_ready: ReadyBytes,
    ) -> Result<Self, StoreError> {
        let note = note::encode(&kept)?;
        let Kept { terms, read, unsettled } = kept;
        let subscription = store.subscribe(terms.query.clone(), read).await?;
        let rules = Rules {
            attempts_max: terms.attempts_max,
            answer_within: terms.answer_within,
            open_max: GROUP_OPEN_MAX,
            parked_max: GROUP_PARKED_MAX,
            bytes_max: GROUP_NOTE_BYTES_MAX,
        };
        let (group, members) = (Group::restored(rules, unsettled), HashMap::new());
        let (ready, began) = (Ready::new(all_ready), Instant::now());
        let (next_member, dirty) = (0, None);
        let run = Self {
            name,
            store,
            terms,
            group,
            read,
            subscription,
            orders,
            members,
            next_member,
            ready,
            began,
            dirty,
            note,
            meter,
        };
        run.tell();
        Ok(run)
    }

    /// Runs until the server ends or the group is removed. Members find their streams ended then.
    pub(crate) async fn run(mut self, stopping: Stopping) {
        loop {
            let done = self.step(&stopping).await;
            match done {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::error!(group = self.name, %error, "a group ends; it begins again when somebody asks for it");
                    return;
                }
            }
        }
    }

    /// Says whether it goes on.
    async fn step(&mut self, stopping: &Stopping) -> Result<bool, StoreError> {
        self.hand_out().await?;
        self.tell();
        let now = Instant::now();
        let save_at = self.dirty.map(|since| since + save_after(self.note.len()));
        let timer = self.group.next_timer().map(|due| self.began + due);
        tokio::select! {
            biased;
            () = stopping.stopped() => {
                self.keep().await?;
                return Ok(false);
            }
            () = sleep_until(save_at.unwrap_or(now)), if save_at.is_some() => self.keep().await?,
            () = sleep_until(timer.unwrap_or(now)), if timer.is_some() => {
                self.group.pass(self.began.elapsed());
                self.changed();
            }
            order = self.orders.recv() => match order {
                None | Some(Order::End) => return Ok(false),
                Some(order) => self.obey(order).await?,
            },
            delivered = self.subscription.next(), if self.takes_in() => self.take(delivered?),
        }
        Ok(true)
    }

    /// Whether it takes more in: as long as there is room for it, or nothing of what it has can be handed out. Without members it
    /// takes a batch, for the first who comes.
    fn takes_in(&self) -> bool {
        let room = if self.members.is_empty() { self.ready.is_empty() } else { self.ready.has_room() };
        self.group.has_room() && (room || !self.group.has_ready())
    }

    /// Says how it stands to whoever measures.
    fn tell(&self) {
        let GroupMeter { read, open, ready, in_flight, parked, members, .. } = &*self.meter;
        read.store(self.read.position.get(), Relaxed);
        open.store(self.group.open() as u64, Relaxed);
        ready.store(self.ready.bytes() as u64, Relaxed);
        in_flight.store(self.group.in_flight() as u64, Relaxed);
        parked.store(self.group.parked_count() as u64, Relaxed);
        members.store(self.members.len() as u64, Relaxed);
    }

    async fn obey(&mut self, order: Order) -> Result<(), StoreError> {
        match order {
            Order::Join { most, events, joined } => {
                self.next_member += 1;
                // Who does not wait for the answer is not there either.
                if joined.send(self.next_member).is_ok() {
                    self.members.insert(self.next_member, events);
                    self.group.join(self.next_member, most);
                }
            }
            Order::Leave { member, said_so } => self.leave(member, said_so),
            Order::Ack(handed) => {
                if self.group.ack(handed) {
                    self.changed();
                }
            }
            Order::Nack { handed, delay, why } => {
                if self.group.nack(handed, self.began.elapsed(), delay, why) {
                    self.changed();
                }
            }
            Order::Describe(told) => {
                let head = self.store.head().await?;
                _ = told.send(Status {
                    name: self.name.clone(),
                    terms: self.terms.clone(),
                    read: self.read,
                    head,
                    members: self.members.len(),
                    open: self.group.open(),
                    parked: self.group.parked().collect(),
                    problem: None,
                });
            }
            Order::Replay { position, done } => self.settle_parked(position, done, Group::replay).await?,
            Order::Skip { position, done } => self.settle_parked(position, done, Group::skip).await?,
            Order::End => {}
        }
        Ok(())
    }

    async fn settle_parked(
        &mut self,
        position: Option<u64>,
        done: oneshot::Sender<usize>,
        settle: impl Fn(&mut Group, u64) -> bool,
    ) -> Result<(), StoreError> {
        let all: Vec<u64> = self.group.parked().map(|parked| parked.position).collect();
        let which = position.map_or(all, |position| vec![position]);
        let count = which.into_iter().filter(|position| settle(&mut self.group, *position)).count();
        self.keep().await?;
        _ = done.send(count);
        Ok(())
    }

    fn leave(&mut self, member: Member, said_so: bool) {
        if self.members.remove(&member).is_some() {
            self.group.leave(member, said_so);
            if self.members.is_empty() {
                // Others have somebody to hand something out to.
                self.ready.clear();
            }
            self.changed();
        }
    }

    fn take(&mut self, delivered: Delivery) {
        match delivered {
            Delivery::Events(found) => {
                if !self.ready.has_room() {
                    // All of it waits behind something; what is needed of it is read again.
                    self.ready.clear();
                }
                for event in found {
                    self.read = self.read.at(event.position);
                    self.group.offer(event.position.get(), event.stream());
                    self.ready.put(&event);
                }
            }
            Delivery::CaughtUp(at) | Delivery::Checkpoint(at) => self.read = at,
        }
        self.changed();
    }

    /// Gives members what they have room for.
    async fn hand_out(&mut self) -> Result<(), StoreError> {
        while let Some(handed) = self.group.hand_out(self.began.elapsed()) {
            self.changed();
            let event = self.event(handed.position).await?;
            // There is room for as many as the member takes. If it is gone, so is what it has.
            let sent = self.members.get(&handed.member).is_some_and(|to| to.try_send((event, handed.attempt)).is_ok());
            if !sent {
                self.leave(handed.member, true);
                continue;
            }
            self.meter.delivered.add(1);
            if handed.attempt > 1 {
                self.meter.redelivered.add(1);
            }
        }
        Ok(())
    }

    async fn event(&mut self, position: u64) -> Result<RecordedEvent, StoreError> {
        if let Some(event) = self.ready.take(position) {
            return Ok(event);
        }
        let read = Read::all(Position::new(position.saturating_sub(1))).limit(1);
        let found = self.store.read(read).await?.next().await?.into_iter().next();
        let gone = || StoreError::Unavailable { why: format!("there is no event at position {position}") };
        found.filter(|event| event.position.get() == position).ok_or_else(gone)
    }

    fn changed(&mut self) {
        self.dirty.get_or_insert_with(Instant::now);
    }

    async fn keep(&mut self) -> Result<(), StoreError> {
        // What nobody was ever given is taken in again from the log.
        let untouched = self.group.untouched().map(|position| self.read.at(Position::new(position.saturating_sub(1))));
        let (read, unsettled) = (untouched.unwrap_or(self.read), self.group.unsettled().collect());
        let kept = Kept { terms: self.terms.clone(), read, unsettled };
        let note = note::encode(&kept)?;
        if note != self.note {
            note::save(&self.store, &self.name, note.clone()).await?;
            self.note = note;
        }
        self.dirty = None;
        Ok(())
    }
}

/// How long a change may wait to be kept, with a note of so many bytes.
fn save_after(bytes: usize) -> Duration {
    let intervals = u32::try_from(bytes / GROUP_SAVE_BYTES).unwrap_or(u32::MAX).saturating_add(1);
    GROUP_SAVE_INTERVAL.saturating_mul(intervals)
}

#[cfg(test)]
mod tests;
