//! A group: the appends that one write and one sync make durable together.

use annalist_core::Position;

use super::Answered;
use crate::{
    concurrency::oneshot,
    format::{Page, Totals},
    limits,
};

/// See the module. Answers wait for the sync, refusals too if they rest on something that is staged.
#[derive(Default)]
pub(crate) struct Group {
    pub(super) pages: Vec<Page>,
    pub(super) answers: Vec<(oneshot::Sender<Answered>, Answered)>,
    /// The last position of the group; zero if it records nothing.
    pub(super) last: Position,
    /// What the log holds up to there.
    pub(super) totals: Totals,
    pub(super) events: usize,
    pub(super) bytes: usize,
}

impl Group {
    pub(crate) fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// How many appends it answers.
    pub(crate) fn len(&self) -> usize {
        self.answers.len()
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.bytes >= limits::GROUP_BYTES_MAX
    }

    pub(crate) const fn byte_count(&self) -> usize {
        self.bytes
    }
}
