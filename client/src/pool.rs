//! The connections to a server, and what goes on which.

use std::{
    num::NonZeroU8,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use annalist_proto::{
    MESSAGE_BYTES_MAX,
    v1::{self, event_store_client::EventStoreClient},
};
use bytes::Bytes;
use tonic::{
    Response, Status,
    metadata::MetadataMap,
    transport::{Channel, Endpoint},
};

use crate::{
    connector::connect_lazy,
    pipeline::{Appends, Lookups, Pipeline},
};

/// Some connections are for what is answered soon, the others for what is long or has no end, so that the first does not wait
/// behind the second. Each is made when it is first used, and again by itself when it breaks.
pub(crate) struct Pool {
    short: Turns<Short>,
    /// `None` if one connection is for everything.
    long: Option<Turns<Channel>>,
}

/// A connection for what is answered soon.
pub(crate) struct Short {
    channel: Channel,
    appends: Pipeline<Appends>,
    lookups: Pipeline<Lookups>,
}

impl Pool {
    pub(crate) fn new(endpoint: &Endpoint, connect_timeout: Duration, connections: NonZeroU8) -> Self {
        let connect = || connect_lazy(endpoint, connect_timeout);
        let connections = usize::from(connections.get());
        let long = connections / 2;
        Self {
            short: Turns::new(|| Short::new(connect()), connections - long),
            long: (long > 0).then(|| Turns::new(connect, long)),
        }
    }

    /// The one whose turn it is, for what is answered soon.
    pub(crate) fn short(&self) -> &Short {
        self.short.next()
    }

    /// The one whose turn it is, for what is long or has no end.
    pub(crate) fn long(&self) -> Channel {
        self.long.as_ref().map_or(&self.short().channel, Turns::next).clone()
    }
}

impl Short {
    fn new(channel: Channel) -> Self {
        Self { channel, appends: Pipeline::new(), lookups: Pipeline::new() }
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Whether the server has the call that appends share, as far as is known.
    pub(crate) fn knows_appends(&self) -> bool {
        self.appends.is_known()
    }

    /// The same of the one that reads share.
    pub(crate) fn knows_lookups(&self) -> bool {
        self.lookups.is_known()
    }

    /// Appends on the call that appends share.
    pub(crate) async fn append(
        &self,
        append: Bytes,
        trace: Option<v1::TraceContext>,
        metadata: impl FnOnce() -> MetadataMap,
    ) -> Result<Response<v1::AppendResponse>, Status> {
        self.appends.ask(append, trace, || (events(self.channel()), metadata())).await
    }

    /// Reads on the call that reads share which are expected to be short.
    pub(crate) async fn look_up(
        &self,
        read: v1::ReadRequest,
        trace: Option<v1::TraceContext>,
        metadata: impl FnOnce() -> MetadataMap,
    ) -> Result<Response<v1::Found>, Status> {
        self.lookups.ask(read, trace, || (events(self.channel()), metadata())).await
    }
}

pub(crate) fn events(channel: Channel) -> EventStoreClient<Channel> {
    EventStoreClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

/// Things that are used in turn, at least one.
struct Turns<T> {
    first: T,
    others: Box<[T]>,
    taken: AtomicUsize,
}

impl<T> Turns<T> {
    fn new(mut make: impl FnMut() -> T, count: usize) -> Self {
        let first = make();
        Self { first, others: (1..count).map(|_| make()).collect(), taken: AtomicUsize::new(0) }
    }

    fn next(&self) -> &T {
        let turn = self.taken.fetch_add(1, Ordering::Relaxed) % (self.others.len() + 1);
        turn.checked_sub(1).and_then(|turn| self.others.get(turn)).unwrap_or(&self.first)
    }
}
