//! Where an event stands.
//!
//! ```text
//!              position:  0    1    2    3    4    5
//!                         |  [e1] [e2] [e3] [e4] [e5]      head = 5, the last recorded event
//!   "after 2" (exclusive):          ------^               delivers e3, e4, e5
//!   "before 4" (exclusive, backwards):  ---------^        delivers e3, e2, e1
//! ```
//!
//! Versions count the events of one stream in the same way. Both are dense and begin at 1; 0 means "nothing yet".

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ordinal {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Before the first: nothing yet.
            pub const ZERO: Self = Self(0);
            /// The greatest value; an open upper bound.
            pub const MAX: Self = Self(u64::MAX);

            /// Wraps a number.
            #[must_use]
            pub const fn new(value: u64) -> Self {
                Self(value)
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The one behind this; stays at [`Self::MAX`].
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }

            /// The one before this; stays at [`Self::ZERO`].
            #[must_use]
            pub const fn previous(self) -> Self {
                Self(self.0.saturating_sub(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

ordinal! {
    /// The place of an event in the whole log: dense, the first is 1, 0 means "nothing yet".
    Position
}

ordinal! {
    /// The place of an event in its stream: dense, the first is 1, 0 means "no such stream yet".
    Version
}

/// The identity of a store, made when the store is created.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoreId(Uuid);

impl StoreId {
    /// Wraps a UUID.
    #[must_use]
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The UUID.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreId({})", self.0)
    }
}

/// Which life of a store: 1 at first, and a greater number after every restore from a backup. Positions of different epochs are
/// comparable only as far as the restored store says so.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(u32);

impl Epoch {
    /// The epoch of a new store.
    pub const FIRST: Self = Self(1);

    /// Wraps a number.
    #[must_use]
    pub const fn new(value: u32) -> Self {
        Self(value)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How far a consumer has read, and of which log: (store, epoch, position), the position being the last one seen.
///
/// A store refuses a cursor of another store, one of an earlier epoch that has seen what was lost by a restore, and one beyond its
/// head, with [`StoreError::ForeignCursor`](crate::StoreError::ForeignCursor). [`Cursor::START`] fits every store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Cursor {
    /// The store that the position belongs to.
    pub store: StoreId,
    /// The epoch that the position belongs to.
    pub epoch: Epoch,
    /// The last position that was seen.
    pub position: Position,
}

impl Cursor {
    /// Nothing seen yet, of whichever store.
    pub const START: Self = Self { store: StoreId::new(Uuid::nil()), epoch: Epoch::new(0), position: Position::ZERO };

    /// The same log, at another position.
    #[must_use]
    pub const fn at(self, position: Position) -> Self {
        Self { position, ..self }
    }

    /// Whether this cursor is of the log whose head is `head`, in its present epoch. [`locate`](crate::locate) asks the log about
    /// one of an earlier epoch.
    #[must_use]
    pub fn fits(&self, head: &Self) -> bool {
        *self == Self::START || (self.store == head.store && self.epoch == head.epoch && self.position <= head.position)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.position, self.store, self.epoch)
    }
}
