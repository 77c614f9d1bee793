//! What every store can be asked to do.

use std::{future::Future, path::Path};

use benches::Failure;

use crate::batch::Batch;

/// What a reader saw: how many events, and a sum over what it looked at, so that nothing is optimised away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Seen {
    /// Events.
    pub events: u64,
    sum: u64,
}

impl Seen {
    /// Looks at one event as a reader does: its place, the names that it has (stream or tags, type), and both ends of its
    /// payload.
    pub(crate) fn look<'a>(&mut self, place: u64, names: impl IntoIterator<Item = &'a str>, payload: &[u8]) {
        let names: usize = names.into_iter().map(str::len).sum();
        let ends: u64 = payload.first().into_iter().chain(payload.last()).map(|byte| u64::from(*byte)).sum();
        self.events += 1;
        self.sum = self.sum.wrapping_add(place + names as u64 + ends);
    }
}

/// An open store. Everything is durable when [`Peer::append`] answers.
///
/// Clients are asynchronous tasks: whatever blocks is handed to a thread where the store's own documentation says so.
pub(crate) trait Peer: Send + Sync + Sized + 'static {
    /// Opens the store in a folder, or makes one there, with the options that it ships with. May block.
    fn open(folder: &Path) -> impl Future<Output = Result<Self, Failure>> + Send;

    /// Appends, and answers when it is durable. A condition that does not hold is a failure here: the benches have none.
    fn append(&self, batch: Batch) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Reads every event with a tag.
    fn read_tag(&self, tag: &str) -> impl Future<Output = Result<Seen, Failure>> + Send;

    /// Reads a stream whole; in stores without streams, every event with the stream's tag.
    fn read_stream(&self, stream: &str) -> impl Future<Output = Result<Seen, Failure>> + Send;

    /// Reads the whole log, oldest first, and decodes each event.
    fn replay(&self) -> impl Future<Output = Result<Seen, Failure>> + Send;

    /// The process whose memory it uses.
    fn process(&self) -> u32;

    /// Closes it cleanly.
    fn close(self) -> impl Future<Output = Result<(), Failure>> + Send;
}
