//! Purses, and a rule that spans them: at most three large withdrawals for an owner within a day, whichever the purse.

use std::{collections::HashMap, time::Duration};

use annalist::{
    Aggregate, Command, Context, Decide, Decision, Event, Events, InStream, Invalid, Query, QueryItem, Scope, State,
    StreamId, Tag, Timestamp, emit, ensure, nothing, stream_of,
};
use serde::{Deserialize, Serialize};

pub(crate) const LARGE: u64 = 100;
pub(crate) const LARGE_MAX: usize = 3;
pub(crate) const DAY: Duration = Duration::from_hours(24);

#[derive(Event, Clone, Debug, PartialEq)]
#[event(category = "purse")]
pub(crate) enum PurseEvent {
    #[event(name = "purse-filled")]
    Filled { purse: u32, cents: u64 },
    #[event(name = "purse-lightened")]
    Lightened {
        purse: u32,
        cents: u64,
        at_micros: i64,
        /// Whose limit it counts for.
        #[event(tag = "large")]
        large_of: Option<String>,
    },
}

#[derive(Event, Clone, Debug, PartialEq)]
#[event(category = "owner")]
pub(crate) enum OwnerEvent {
    #[event(name = "owner-blocked")]
    Blocked { owner: String },
    #[event(name = "limit-reached")]
    LimitReached { owner: String },
}

#[derive(Events, Clone, Debug, PartialEq)]
pub(crate) enum LimitEvent {
    Purse(PurseEvent),
    Owner(OwnerEvent),
}

#[derive(Default)]
pub(crate) struct Purse {
    pub(crate) cents: u64,
}

impl State for Purse {
    type Event = PurseEvent;
    fn evolve(&mut self, event: &PurseEvent) {
        match event {
            PurseEvent::Filled { cents, .. } => self.cents += cents,
            PurseEvent::Lightened { cents, .. } => self.cents -= cents,
        }
    }
}

impl Aggregate for Purse {
    type Id = u32;
}

#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
pub(crate) enum Refused {
    #[error("there are only {left} cents left")]
    Empty { left: u64 },
    #[error("there were enough large withdrawals today")]
    LimitReached,
    #[error("the owner is blocked")]
    Blocked,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "fill")]
pub(crate) struct Fill {
    pub(crate) purse: u32,
    pub(crate) cents: u64,
}

impl Decide<Fill> for Purse {
    type Rejection = Refused;
    type Reply = u64;
    fn decide(&self, fill: &Fill, _: &Context) -> Result<Decision<PurseEvent, u64>, Refused> {
        Ok(emit(PurseEvent::Filled { purse: fill.purse, cents: fill.cents }).reply(self.cents + fill.cents))
    }
}

/// Everything that a withdrawal rests on.
#[derive(Default)]
pub(crate) struct Limit {
    cents: HashMap<u32, u64>,
    /// Whose, and when. A purse may be another owner's too.
    large: Vec<(String, Timestamp)>,
    blocked: bool,
}

impl State for Limit {
    type Event = LimitEvent;
    fn evolve(&mut self, event: &LimitEvent) {
        match event {
            LimitEvent::Purse(PurseEvent::Filled { purse, cents }) => *self.cents.entry(*purse).or_default() += cents,
            LimitEvent::Purse(PurseEvent::Lightened { purse, cents, at_micros, large_of }) => {
                // Of other purses only the large withdrawals are seen.
                let left = self.cents.entry(*purse).or_default();
                *left = left.saturating_sub(*cents);
                let owner = large_of.iter().cloned();
                self.large.extend(owner.map(|owner| (owner, Timestamp::from_micros(*at_micros))));
            }
            LimitEvent::Owner(OwnerEvent::Blocked { .. }) => self.blocked = true,
            LimitEvent::Owner(OwnerEvent::LimitReached { .. }) => {}
        }
    }
}

impl Limit {
    fn large_within_a_day(&self, of: &str, now: Timestamp) -> usize {
        let day = i64::try_from(DAY.as_micros()).unwrap();
        let within = |(owner, at): &&(String, Timestamp)| owner == of && now.as_micros() - at.as_micros() < day;
        self.large.iter().filter(within).count()
    }
}

#[derive(Command, Clone, Serialize, Deserialize)]
#[command(name = "lighten")]
pub(crate) struct Lighten {
    pub(crate) owner: String,
    pub(crate) purse: u32,
    pub(crate) cents: u64,
}

impl Decide<Lighten> for Limit {
    type Rejection = Refused;
    type Reply = u64;
    fn decide(&self, lighten: &Lighten, cx: &Context) -> Result<Decision<LimitEvent, u64>, Refused> {
        let Lighten { owner, purse, cents } = lighten.clone();
        let left = self.cents.get(&purse).copied().unwrap_or_default();
        ensure!(!self.blocked, Refused::Blocked);
        ensure!(left >= cents, Refused::Empty { left });
        let large = self.large_within_a_day(&owner, cx.now());
        let is_large = cents >= LARGE;
        ensure!(!is_large || large < LARGE_MAX, Refused::LimitReached);
        let (at_micros, large_of) = (cx.now().as_micros(), is_large.then(|| owner.clone()));
        let lightened = emit(PurseEvent::Lightened { purse, cents, at_micros, large_of }.into());
        let reached = (is_large && large + 1 == LARGE_MAX).then(|| OwnerEvent::LimitReached { owner }.into());
        Ok(lightened.and_all(reached).reply(left - cents))
    }
}

impl Scope<Lighten> for Limit {
    fn query(lighten: &Lighten) -> Result<Query, Invalid> {
        let large = Tag::new(format!("large:{}", lighten.owner))?;
        Ok(Query::stream(stream_of::<Purse>(&lighten.purse)?)
            .or(QueryItem::new().types(["purse-lightened"]).tags([large]))
            .or(QueryItem::new().types(["owner-blocked"]).stream(StreamId::of("owner", &lighten.owner)?)))
    }

    fn home(_: &Lighten, event: &LimitEvent) -> Result<StreamId, Invalid> {
        match event {
            LimitEvent::Purse(PurseEvent::Filled { purse, .. } | PurseEvent::Lightened { purse, .. }) => {
                stream_of::<Purse>(purse)
            }
            LimitEvent::Owner(OwnerEvent::Blocked { owner } | OwnerEvent::LimitReached { owner }) => {
                StreamId::of("owner", owner)
            }
        }
    }
}

/// Says how much is in a purse, and changes nothing.
#[derive(Command, Serialize, Deserialize)]
#[command(name = "look-into")]
pub(crate) struct LookInto {
    pub(crate) purse: u32,
}

impl Decide<LookInto> for Limit {
    type Rejection = Refused;
    type Reply = u64;
    fn decide(&self, look: &LookInto, _: &Context) -> Result<Decision<LimitEvent, u64>, Refused> {
        Ok(nothing().reply(self.cents.get(&look.purse).copied().unwrap_or_default()))
    }
}

impl Scope<LookInto> for Limit {
    fn query(look: &LookInto) -> Result<Query, Invalid> {
        Ok(Query::stream(stream_of::<Purse>(&look.purse)?))
    }

    fn home(look: &LookInto, _: &LimitEvent) -> Result<StreamId, Invalid> {
        stream_of::<Purse>(&look.purse)
    }
}

/// Whoever says of its events that they stand elsewhere.
#[derive(Default)]
pub(crate) struct Elsewhere;

impl State for Elsewhere {
    type Event = InStream<PurseEvent>;
    fn evolve(&mut self, _: &InStream<PurseEvent>) {}
}

impl Decide<Fill> for Elsewhere {
    type Rejection = Refused;
    type Reply = ();
    fn decide(&self, fill: &Fill, _: &Context) -> Result<Decision<InStream<PurseEvent>>, Refused> {
        let filled = PurseEvent::Filled { purse: fill.purse, cents: fill.cents };
        Ok(emit(InStream::new(stream_of::<Purse>(&(fill.purse + 1)).unwrap(), filled)))
    }
}

impl Scope<Fill> for Elsewhere {
    fn query(fill: &Fill) -> Result<Query, Invalid> {
        Ok(Query::stream(stream_of::<Purse>(&fill.purse)?))
    }

    fn home(fill: &Fill, _: &InStream<PurseEvent>) -> Result<StreamId, Invalid> {
        stream_of::<Purse>(&fill.purse)
    }
}

/// Whoever is wrong about where its events belong.
#[derive(Default)]
pub(crate) struct Astray;

impl State for Astray {
    type Event = PurseEvent;
    fn evolve(&mut self, _: &PurseEvent) {}
}

impl Decide<Fill> for Astray {
    type Rejection = Refused;
    type Reply = ();
    fn decide(&self, fill: &Fill, _: &Context) -> Result<Decision<PurseEvent>, Refused> {
        Ok(emit(PurseEvent::Filled { purse: fill.purse, cents: fill.cents }))
    }
}

impl Scope<Fill> for Astray {
    fn query(fill: &Fill) -> Result<Query, Invalid> {
        Ok(Query::stream(stream_of::<Purse>(&fill.purse)?))
    }

    fn home(_: &Fill, _: &PurseEvent) -> Result<StreamId, Invalid> {
        StreamId::new("owner-ada")
    }
}
