//! What a decision rests on, as the executor sees it: loaded before it, guarded by its append.

use std::future::Future;

use annalist_core::{Append, Appended, EventId, NewEvent};

use super::{Command, CommandError, Decide, Target};
use crate::aggregate::{Aggregates, LoadError, State};

/// What a decision rests on: how it is loaded, and under which guard the decision is recorded.
pub(super) trait Basis<C: Command>: Send + Sync {
    /// What decides.
    type State: Decide<C>;
    /// The state, and how much it has seen.
    type Loaded: Send;
    /// What a receipt says of versions.
    type Version: Send;

    /// What it is, for others to see.
    fn target(&self) -> &Target;

    /// Within which scope its keys are unique.
    fn key_scope(&self) -> String;

    /// The state that was loaded.
    fn state(loaded: &Self::Loaded) -> &Self::State;

    /// What an earlier command left behind, if anything is left: true, but perhaps not the latest.
    fn cached(&self, aggregates: &Aggregates) -> Option<Self::Loaded>;

    /// Leaves something behind for the next command.
    fn cache(&self, aggregates: &Aggregates, loaded: Self::Loaded);

    /// Loads all of it.
    fn load(&self, aggregates: &Aggregates) -> impl Future<Output = Result<Self::Loaded, LoadError>> + Send;

    /// Loads what has been recorded since.
    fn catch_up(
        &self,
        aggregates: &Aggregates,
        loaded: &mut Self::Loaded,
    ) -> impl Future<Output = Result<(), LoadError>> + Send;

    /// What is to be recorded of a decision, guarded so that it holds only on what was loaded. Without events there is
    /// nothing but the guard.
    ///
    /// # Errors
    /// [`CommandError::Unrecordable`] when an event has no place.
    fn append(
        &self,
        command: &C,
        loaded: &Self::Loaded,
        events: Vec<Emitted<'_, EventOf<Self, C>>>,
    ) -> Result<Append, CommandError>;

    /// Takes in what was just recorded: events whose payloads have so many bytes, and the identity of the last one.
    fn take_in(
        &self,
        aggregates: &Aggregates,
        loaded: &mut Self::Loaded,
        events: &[EventOf<Self, C>],
        bytes: u64,
        last: Option<EventId>,
    ) -> impl Future<Output = Self::Version> + Send;

    /// The version to tell of what was recorded before.
    fn version(
        &self,
        aggregates: &Aggregates,
        recorded: &Appended,
    ) -> impl Future<Output = Result<Self::Version, CommandError>> + Send;
}

/// The events of the state that decides.
pub(super) type EventOf<B, C> = <<B as Basis<C>>::State as State>::Event;

/// An event that a decision emits.
pub(super) struct Emitted<'a, E> {
    pub(super) event: &'a E,
    /// The category of the streams that it may be recorded in.
    pub(super) category: &'static str,
    /// As it is to be recorded.
    pub(super) record: NewEvent,
}
