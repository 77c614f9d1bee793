//! What a group knows, and what follows from what happens to it. Pure: events, members, answers and time come in, deliveries go
//! out.
//!
//! Events that are not settled stand in lanes, one for each stream, in the order of the log. Only the first of a lane is ever
//! handed out, to one member at a time; so the order of a stream holds whatever becomes of its events. One that failed too often
//! is parked, and its lane waits for a person.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    ops::Bound,
    sync::Arc,
    time::Duration,
};

/// What a group goes by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rules {
    /// How often an event is handed out before it is parked, at least 1.
    pub(crate) attempts_max: u32,
    /// How long a member may take for an event.
    pub(crate) answer_within: Duration,
    /// Most unsettled events that are neither parked nor behind a parked one.
    pub(crate) open_max: usize,
    /// Most events that are parked or behind a parked one.
    pub(crate) parked_max: usize,
    /// Most bytes of what is not settled, about, as it is kept.
    pub(crate) bytes_max: usize,
}

/// A member, by a number that is never given again.
pub(crate) type Member = u64;

/// An event that is not settled.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Item {
    position: u64,
    /// How often it was handed out.
    attempts: u32,
}

/// What becomes of the first event of a lane.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Head {
    Ready,
    With { member: Member, until: Duration },
    Delayed { until: Duration },
    Parked { why: String },
}

/// The unsettled events of a stream, at least one.
#[derive(Debug)]
struct Lane {
    head: Head,
    items: VecDeque<Item>,
}

#[derive(Debug)]
struct Place {
    /// Most events that it takes at a time.
    most: usize,
    has: usize,
}

/// An event for a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct HandedOut {
    pub(crate) member: Member,
    pub(crate) position: u64,
    /// Counted from 1.
    pub(crate) attempt: u32,
}

/// A parked event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Parked {
    pub(crate) position: u64,
    pub(crate) stream: Arc<str>,
    pub(crate) attempts: u32,
    pub(crate) why: String,
    /// How many later events of its stream wait behind it.
    pub(crate) behind: usize,
}

/// An event that is not settled, as it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Unsettled {
    pub(crate) position: u64,
    pub(crate) stream: Arc<str>,
    pub(crate) attempts: u32,
    pub(crate) parked: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Group {
    rules: Rules,
    lanes: HashMap<Arc<str>, Lane>,
    /// The stream of every unsettled event.
    streams: BTreeMap<u64, Arc<str>>,
    /// The first events of lanes that can be handed out, oldest first.
    ready: BTreeSet<u64>,
    /// When something is to happen to which first event.
    timers: BTreeSet<(Duration, u64)>,
    members: BTreeMap<Member, Place>,
    parked: BTreeSet<u64>,
    /// Events that are parked or behind a parked one.
    held: usize,
    /// The last event of the log that was ever handed out, or was kept.
    reached: u64,
    /// What is not settled as it is kept, in bytes, about.
    bytes: usize,
}

/// What an event that is not settled takes where it is kept, in bytes, without the name of its stream and the reason why it is parked.
const ITEM_BYTES: usize = 64;

impl Group {
    /// Without events and members.
    pub(crate) fn new(rules: Rules) -> Self {
        let (lanes, streams, ready, timers) = (HashMap::new(), BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        let (members, parked) = (BTreeMap::new(), BTreeSet::new());
        Self { rules, lanes, streams, ready, timers, members, parked, held: 0, reached: 0, bytes: 0 }
    }

    /// As it was kept. What was with a member is with nobody now, and has had its attempt.
    pub(crate) fn restored(rules: Rules, unsettled: impl IntoIterator<Item = Unsettled>) -> Self {
        let mut group = Self::new(rules);
        for Unsettled { position, stream, attempts, parked } in unsettled {
            group.reached = position;
            let is_first = !group.lanes.contains_key(&stream);
            group.add(Item { position, attempts }, Arc::clone(&stream));
            let spent = (attempts >= rules.attempts_max).then(|| "it was handed out, and never answered".to_owned());
            if let Some(why) = parked.or(spent)
                && is_first
            {
                group.set(&stream, Head::Parked { why });
            }
        }
        group
    }

    /// Whether another event can be taken in.
    pub(crate) fn has_room(&self) -> bool {
        self.open() < self.rules.open_max && self.held < self.rules.parked_max && self.bytes < self.rules.bytes_max
    }

    /// Whether an event waits for nothing but a member.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Unsettled events that are neither parked nor behind a parked one.
    pub(crate) fn open(&self) -> usize {
        self.streams.len() - self.held
    }

    /// Events that are with members.
    pub(crate) fn in_flight(&self) -> usize {
        self.members.values().map(|place| place.has).sum()
    }

    /// How many events are parked.
    pub(crate) fn parked_count(&self) -> usize {
        self.parked.len()
    }

    /// Takes an event in. Events come in the order of the log.
    pub(crate) fn offer(&mut self, position: u64, stream: &str) {
        let stream = self.lanes.get_key_value(stream).map_or_else(|| stream.into(), |(known, _)| Arc::clone(known));
        self.add(Item { position, attempts: 0 }, stream);
    }

    fn add(&mut self, item: Item, stream: Arc<str>) {
        let position = item.position;
        self.bytes += stream.len() + ITEM_BYTES;
        self.streams.insert(position, Arc::clone(&stream));
        if let Some(lane) = self.lanes.get_mut(&stream) {
            self.held += usize::from(matches!(lane.head, Head::Parked { .. }));
            lane.items.push_back(item);
        } else {
            self.lanes.insert(stream, Lane { head: Head::Ready, items: VecDeque::from([item]) });
            self.ready.insert(position);
        }
    }

    /// A member comes, which takes so many events at a time.
    pub(crate) fn join(&mut self, member: Member, most: usize) {
        self.members.insert(member, Place { most, has: 0 });
    }

    /// A member goes. What it has goes to others; if it went without a word, that was an attempt.
    pub(crate) fn leave(&mut self, member: Member, said_so: bool) {
        self.members.remove(&member);
        let is_with = |lane: &Lane| matches!(lane.head, Head::With { member: with, .. } if with == member);
        let lanes = self.lanes.iter().filter(|(_, lane)| is_with(lane)).map(|(stream, _)| Arc::clone(stream));
        for stream in lanes.collect::<Vec<_>>() {
            if said_so {
                if let Some(item) = self.lanes.get_mut(&stream).and_then(|lane| lane.items.front_mut()) {
                    item.attempts = item.attempts.saturating_sub(1);
                }
                self.set(&stream, Head::Ready);
            } else {
                self.failed(&stream, Duration::ZERO, None, "the member went without an answer".to_owned());
            }
        }
    }

    /// The next event for a member, if there is one and a member has room: the oldest, for the member that has least.
    pub(crate) fn hand_out(&mut self, now: Duration) -> Option<HandedOut> {
        let position = *self.ready.first()?;
        let free = self.members.iter().filter(|(_, place)| place.has < place.most);
        let (&member, _) = free.min_by_key(|(_, place)| place.has)?;
        let stream = Arc::clone(self.streams.get(&position)?);
        let item = self.lanes.get_mut(&stream)?.items.front_mut()?;
        item.attempts += 1;
        let attempt = item.attempts;
        self.reached = self.reached.max(position);
        self.set(&stream, Head::With { member, until: now + self.rules.answer_within });
        Some(HandedOut { member, position, attempt })
    }

    /// A member is done with an event. Says whether it was its to answer for; otherwise nothing changes.
    pub(crate) fn ack(&mut self, handed: HandedOut) -> bool {
        let Some(stream) = self.stream_of(handed) else { return false };
        self.settle(&stream);
        true
    }

    /// A member could not do what an event asks for. It comes again after the delay, or is parked. Says as [`Group::ack`].
    pub(crate) fn nack(&mut self, handed: HandedOut, now: Duration, delay: Duration, why: String) -> bool {
        let Some(stream) = self.stream_of(handed) else { return false };
        self.failed(&stream, now, Some(delay), why);
        true
    }

    /// It is so late. What has to happen by then happens.
    pub(crate) fn pass(&mut self, now: Duration) {
        while let Some(&(due, position)) = self.timers.first() {
            if due > now {
                return;
            }
            self.timers.pop_first();
            let Some(stream) = self.streams.get(&position).cloned() else { continue };
            match self.lanes.get(&stream).map(|lane| &lane.head) {
                Some(Head::Delayed { .. }) => self.set(&stream, Head::Ready),
                Some(Head::With { .. }) => self.failed(&stream, now, None, "there was no answer in time".to_owned()),
                _ => {}
            }
        }
    }

    /// When time has something to do.
    pub(crate) fn next_timer(&self) -> Option<Duration> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// What is parked, oldest first.
    pub(crate) fn parked(&self) -> impl Iterator<Item = Parked> {
        self.parked.iter().filter_map(|&position| {
            let stream = self.streams.get(&position)?;
            let lane = self.lanes.get(stream)?;
            let (Head::Parked { why }, item) = (&lane.head, lane.items.front()?) else { return None };
            let (stream, why, behind) = (Arc::clone(stream), why.clone(), lane.items.len() - 1);
            Some(Parked { position, stream, attempts: item.attempts, why, behind })
        })
    }

    /// Hands a parked event out again, as if for the first time, and then what is behind it. Says whether it is parked.
    pub(crate) fn replay(&mut self, position: u64) -> bool {
        let Some(stream) = self.parked_stream(position) else { return false };
        if let Some(item) = self.lanes.get_mut(&stream).and_then(|lane| lane.items.front_mut()) {
            item.attempts = 0;
        }
        self.set(&stream, Head::Ready);
        true
    }

    /// Settles a parked event undone, and goes on with what is behind it. Says whether it is parked.
    pub(crate) fn skip(&mut self, position: u64) -> bool {
        let Some(stream) = self.parked_stream(position) else { return false };
        self.settle(&stream);
        true
    }

    /// The first event that was never handed out, nor any behind it: from there on the log says what there is.
    pub(crate) fn untouched(&self) -> Option<u64> {
        let behind = (Bound::Excluded(self.reached), Bound::Unbounded);
        self.streams.range(behind).next().map(|(&position, _)| position)
    }

    /// What is not settled and cannot be taken from the log again: everything before [`Group::untouched`], in the order of the log.
    pub(crate) fn unsettled(&self) -> impl Iterator<Item = Unsettled> {
        self.streams.range(..=self.reached).filter_map(|(&position, stream)| {
            let lane = self.lanes.get(stream)?;
            let at = lane.items.binary_search_by_key(&position, |item| item.position).ok()?;
            let parked = match &lane.head {
                Head::Parked { why } if at == 0 => Some(why.clone()),
                _ => None,
            };
            Some(Unsettled { position, stream: Arc::clone(stream), attempts: lane.items.get(at)?.attempts, parked })
        })
    }

    fn parked_stream(&self, position: u64) -> Option<Arc<str>> {
        self.parked.contains(&position).then(|| self.streams.get(&position).cloned())?
    }

    /// The stream of an event, if it is with this member, at this attempt.
    fn stream_of(&self, handed: HandedOut) -> Option<Arc<str>> {
        let stream = self.streams.get(&handed.position)?;
        let lane = self.lanes.get(stream)?;
        let item = lane.items.front()?;
        let is_with = matches!(lane.head, Head::With { member, .. } if member == handed.member);
        let is_it = item.position == handed.position && item.attempts == handed.attempt;
        (is_with && is_it).then(|| Arc::clone(stream))
    }

    /// The first event of a lane failed: it comes again, after a delay if there is one, or is parked.
    fn failed(&mut self, stream: &Arc<str>, now: Duration, delay: Option<Duration>, why: String) {
        let attempts = self.lanes.get(stream).and_then(|lane| lane.items.front()).map_or(0, |item| item.attempts);
        let head = match delay {
            _ if attempts >= self.rules.attempts_max => Head::Parked { why },
            Some(delay) if !delay.is_zero() => Head::Delayed { until: now + delay },
            _ => Head::Ready,
        };
        self.set(stream, head);
    }

    /// The first event of a lane is settled.
    fn settle(&mut self, stream: &Arc<str>) {
        // Also takes it out of everything that its state put it into.
        self.set(stream, Head::Ready);
        let Some(lane) = self.lanes.get_mut(stream) else { return };
        if let Some(item) = lane.items.pop_front() {
            self.streams.remove(&item.position);
            self.bytes -= stream.len() + ITEM_BYTES;
            self.ready.remove(&item.position);
        }
        match lane.items.front() {
            Some(next) => _ = self.ready.insert(next.position),
            None => _ = self.lanes.remove(stream),
        }
    }

    /// Changes the state of the first event of a lane, and what follows from it.
    fn set(&mut self, stream: &Arc<str>, head: Head) {
        let Some(lane) = self.lanes.get_mut(stream) else { return };
        let Some(position) = lane.items.front().map(|item| item.position) else { return };
        let count = lane.items.len();
        match std::mem::replace(&mut lane.head, head) {
            Head::Ready => _ = self.ready.remove(&position),
            Head::With { member, until } => {
                self.timers.remove(&(until, position));
                if let Some(place) = self.members.get_mut(&member) {
                    place.has -= 1;
                }
            }
            Head::Delayed { until } => _ = self.timers.remove(&(until, position)),
            Head::Parked { why } => {
                self.parked.remove(&position);
                self.held -= count;
                self.bytes -= why.len();
            }
        }
        match &lane.head {
            Head::Ready => _ = self.ready.insert(position),
            Head::With { member, until } => {
                self.timers.insert((*until, position));
                if let Some(place) = self.members.get_mut(member) {
                    place.has += 1;
                }
            }
            Head::Delayed { until } => _ = self.timers.insert((*until, position)),
            Head::Parked { why } => {
                self.parked.insert(position);
                self.held += count;
                self.bytes += why.len();
            }
        }
    }
}

#[cfg(test)]
mod tests;
