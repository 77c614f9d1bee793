//! Stock: CDs on a shelf, delivered, reserved for orders, released again.

use std::{collections::BTreeMap, fmt, str::FromStr};

use annalist::{Aggregate, Command, Context, Decide, Decision, Event, State, emit, ensure, nothing};
use serde::{Deserialize, Serialize};

use crate::domain::{NotA, OrderId};

/// What can happen to the CDs on a shelf.
#[derive(Event, Clone, Debug, PartialEq, Eq)]
#[event(category = "stock")]
pub enum StockEvent {
    /// CDs came in.
    #[event(name = "stock-delivered")]
    Delivered {
        /// How many.
        cds: u64,
    },
    /// CDs are set aside for an order.
    #[event(name = "stock-reserved")]
    Reserved {
        /// For which.
        order: OrderId,
        /// How many.
        cds: u32,
    },
    /// The order does not need them after all.
    #[event(name = "stock-released")]
    Released {
        /// Which.
        order: OrderId,
        /// How many.
        cds: u32,
    },
    /// Somebody was told that there are not enough.
    #[event(name = "stock-refused")]
    Refused {
        /// For which order.
        order: OrderId,
        /// How many were wanted.
        cds: u32,
        /// How many were left.
        available: u64,
    },
}

/// The number of a shelf.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Shelf(pub u64);

impl Shelf {
    /// How many there are.
    pub const COUNT: u64 = 10;

    /// Where the CDs of an order lie. The file does not say which CDs they are.
    #[must_use]
    pub const fn of(order: OrderId) -> Self {
        Self(order.0 % Self::COUNT)
    }
}

impl fmt::Display for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Shelf {
    type Err = NotA;
    fn from_str(text: &str) -> Result<Self, NotA> {
        text.parse().map(Self).map_err(|_| NotA::new("a shelf's number", text))
    }
}

/// What a decision must know of a shelf.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stock {
    /// CDs that nobody has ordered.
    pub available: u64,
    reserved: BTreeMap<u64, u32>,
}

impl State for Stock {
    type Event = StockEvent;

    fn evolve(&mut self, event: &StockEvent) {
        match *event {
            StockEvent::Delivered { cds } => self.available += cds,
            StockEvent::Reserved { order, cds } => {
                self.available = self.available.saturating_sub(cds.into());
                self.reserved.insert(order.0, cds);
            }
            StockEvent::Released { order, cds } => {
                self.available += u64::from(cds);
                self.reserved.remove(&order.0);
            }
            StockEvent::Refused { .. } => {}
        }
    }
}

impl Aggregate for Stock {
    type Id = Shelf;
}

/// CDs come in.
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "deliver-stock")]
pub struct Deliver {
    /// How many.
    pub cds: u64,
}

/// Set CDs aside for an order.
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "reserve-stock")]
pub struct Reserve {
    /// For which.
    pub order: OrderId,
    /// How many.
    pub cds: u32,
}

/// Put back what was set aside for an order, if anything was.
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "release-stock")]
pub struct Release {
    /// Which.
    pub order: OrderId,
}

/// There are not enough CDs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("only {available} CDs are left on the shelf")]
pub struct OutOfStock {
    /// How many are left.
    pub available: u64,
}

/// Never: it is always possible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Never {}

impl Decide<Deliver> for Stock {
    type Rejection = Never;
    type Reply = ();

    fn decide(&self, command: &Deliver, _: &Context) -> Result<Decision<StockEvent>, Never> {
        Ok(emit(StockEvent::Delivered { cds: command.cds }))
    }
}

impl Decide<Reserve> for Stock {
    type Rejection = OutOfStock;
    /// What is left for others.
    type Reply = u64;

    fn decide(&self, command: &Reserve, _: &Context) -> Result<Decision<StockEvent, u64>, OutOfStock> {
        let &Reserve { order, cds } = command;
        if self.reserved.contains_key(&order.0) {
            return Ok(nothing().reply(self.available));
        }
        let wanted = u64::from(cds);
        ensure!(self.available >= wanted, OutOfStock { available: self.available });
        Ok(emit(StockEvent::Reserved { order, cds }).reply(self.available - wanted))
    }
}

impl Decide<Release> for Stock {
    type Rejection = Never;
    type Reply = ();

    fn decide(&self, command: &Release, _: &Context) -> Result<Decision<StockEvent>, Never> {
        let order = command.order;
        Ok(match self.reserved.get(&order.0) {
            Some(&cds) => emit(StockEvent::Released { order, cds }),
            None => nothing(),
        })
    }
}
