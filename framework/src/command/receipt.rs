//! What the caller of a command gets.

use annalist_core::{Cursor, Version};

use super::CommandId;

/// A command was executed, and what it caused is recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Receipt<R, V = Version> {
    /// What the decision replied.
    pub reply: R,
    /// The position up to which the log holds all that the command caused: a view that has seen it has seen that.
    pub cursor: Cursor,
    /// The last version of the aggregate's stream that is known to hold it: behind the command's events if it had any. A
    /// scope has no stream of its own, and `()` here.
    pub version: V,
    /// How many events the command caused.
    pub events: u64,
    /// Whether it was recorded before, under the same key, and this is the answer of that time.
    pub repeated: bool,
    /// The identity of the command: what its events name as their cause.
    pub command_id: CommandId,
}
