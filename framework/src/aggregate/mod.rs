//! Aggregates: states that are folded from the events of one stream, and guard its rules.

mod cache;
mod load;
mod snapshot;

use std::{fmt::Display, str::FromStr};

use annalist_core::{Invalid, StreamId};

use crate::event::{EventSet, Events};

pub(crate) use cache::Cache;
pub(crate) use load::Aggregates;
pub use load::{LoadError, Loaded};
pub use snapshot::SnapshotPolicy;
pub(crate) use snapshot::SnapshotRules;

/// What a decision must know, folded from events. Nothing yet is [`Default`].
///
/// ```
/// # use annalist::{Event, State};
/// # #[derive(Event, Clone, Debug)]
/// # #[event(category = "account")]
/// # enum AccountEvent { #[event(name = "money-deposited")] Deposited { cents: u64 } }
/// #[derive(Default)]
/// struct Account { cents: u64 }
///
/// impl State for Account {
///     type Event = AccountEvent;
///     fn evolve(&mut self, event: &AccountEvent) {
///         match event {
///             AccountEvent::Deposited { cents } => self.cents += cents,
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not folded from events",
    label = "this is not a `State`",
    note = "implement `State` for it: `type Event = ...;` and `fn evolve(&mut self, event: &Self::Event)`",
    note = "`State` needs `Default`: what it is before the first event"
)]
pub trait State: Default + Send + Sync + 'static {
    /// The events that it is folded from: those of one category for an aggregate, whose streams it names; those of
    /// several, united by `#[derive(Events)]`, for a scope that rests on more.
    type Event: Events;

    /// Takes in what happened. It happened: there is nothing to refuse, and nothing to do but to change the state. The
    /// same events always give the same state.
    fn evolve(&mut self, event: &Self::Event);
}

/// A state of which there are many, each with a stream of its own: `category-id`.
///
/// ```
/// # use annalist::{Aggregate, Event, State};
/// # #[derive(Event, Clone, Debug)]
/// # #[event(category = "account")]
/// # enum AccountEvent { #[event(name = "money-deposited")] Deposited { cents: u64 } }
/// # #[derive(Default)]
/// # struct Account;
/// # impl State for Account { type Event = AccountEvent; fn evolve(&mut self, _: &AccountEvent) {} }
/// impl Aggregate for Account {
///     type Id = String;
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an aggregate",
    label = "this is not an `Aggregate`",
    note = "write `impl Aggregate for {Self} {{ type Id = ...; }}`, where Id is what tells one from another"
)]
pub trait Aggregate: State<Event: EventSet> {
    /// What tells one from another: the part of the stream's name behind the category.
    type Id: Display + FromStr + Clone + Send + Sync + 'static;
}

/// The stream of one aggregate.
///
/// # Errors
/// [`Invalid`] when the category or the id cannot be part of a stream's name.
pub fn stream_of<A: Aggregate>(id: &A::Id) -> Result<StreamId, Invalid> {
    StreamId::of(A::Event::CATEGORY, id)
}
