//! The server as it is seen from here, and how a call is repeated.

use std::{fmt, pin::pin, sync::OnceLock, time::Duration};

use annalist_core::{StoreError, TraceContext};
use annalist_proto::{
    MESSAGE_BYTES_MAX,
    v1::{
        self, care_client::CareClient, checkpoints_client::CheckpointsClient, event_store_client::EventStoreClient,
        groups_client::GroupsClient, snapshots_client::SnapshotsClient,
    },
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};
use tonic::{
    Request, Response, Status,
    metadata::MetadataMap,
    transport::{Channel, Endpoint},
};

use crate::{
    address::AddressError,
    budget::Budget,
    failure::{Failure, chain},
    limits,
    options::{ApiKey, RemoteOptions},
    pause::Pauses,
    pool::{Pool, Short, events},
    tls,
};

/// The server, as seen from here.
pub(crate) struct Remote {
    address: String,
    pool: Pool,
    options: RemoteOptions,
    budget: Budget,
    closed: watch::Sender<bool>,
    /// Who knows which trace a request is part of.
    traced: OnceLock<Box<Current>>,
}

type Current = dyn Fn() -> Option<TraceContext> + Send + Sync;

/// What is asked in one attempt, and until when.
pub(crate) struct Asked<Q> {
    pub(crate) question: Q,
    pub(crate) deadline: Instant,
}

/// Whether a request may be sent again that the server may have received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Again {
    /// It changes nothing, or is recorded once.
    Harmless,
    /// It might be done twice.
    Never,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Remote {
    pub(crate) fn new(address: &str, options: RemoteOptions) -> Result<Self, AddressError> {
        let wrong = |why: String| AddressError::Malformed { address: address.to_owned(), why };
        let endpoint = Endpoint::from_shared(address.to_owned()).map_err(|error| wrong(error.to_string()))?;
        let secure = match endpoint.uri().scheme_str() {
            Some(scheme @ ("http" | "https")) if endpoint.uri().host().is_some() => scheme == "https",
            _ => return Err(wrong("it does not begin with `http://` or `https://`".to_owned())),
        };
        let endpoint = if secure {
            let tls = tls::config(&options)?;
            endpoint.tls_config(tls).map_err(|error| wrong(chain(&error)))?
        } else if options.ca.is_some() || options.identity.is_some() {
            return Err(wrong("there are certificates to speak TLS with, and it begins with `http://`".to_owned()));
        } else {
            endpoint
        };
        let endpoint = endpoint
            .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
            .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
            .max_frame_size(limits::FRAME_BYTES_MAX)
            .http2_max_header_list_size(limits::HEADER_BYTES_MAX)
            .http2_keep_alive_interval(limits::KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(limits::KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        Ok(Self {
            address: address.to_owned(),
            pool: Pool::new(&endpoint, options.connect_timeout, options.connections),
            options,
            budget: Budget::new(),
            closed: watch::Sender::new(false),
            traced: OnceLock::new(),
        })
    }

    /// Where appends and short reads share calls.
    pub(crate) fn short(&self) -> &Short {
        self.pool.short()
    }

    /// What is answered soon.
    pub(crate) fn events(&self) -> EventStoreClient<Channel> {
        events(self.pool.short().channel())
    }

    /// Long reads, subscriptions, large appends.
    pub(crate) fn streams(&self) -> EventStoreClient<Channel> {
        events(self.pool.long())
    }

    pub(crate) fn snapshots(&self) -> SnapshotsClient<Channel> {
        SnapshotsClient::new(self.pool.short().channel())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    pub(crate) fn checkpoints(&self) -> CheckpointsClient<Channel> {
        CheckpointsClient::new(self.pool.short().channel())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    pub(crate) fn groups(&self) -> GroupsClient<Channel> {
        GroupsClient::new(self.pool.long()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    pub(crate) fn care(&self) -> CareClient<Channel> {
        CareClient::new(self.pool.long())
    }

    /// Has this asked which trace a request is part of. Whoever says so first is asked.
    pub(crate) fn trace_with(&self, current: Box<Current>) {
        _ = self.traced.set(current);
    }

    /// The trace that a request is part of, if there is one.
    pub(crate) fn trace(&self) -> Option<v1::TraceContext> {
        let TraceContext { traceparent, tracestate } = self.traced.get().and_then(|current| current())?;
        Some(v1::TraceContext { traceparent, tracestate })
    }

    /// The key that the server asks for, if it does.
    pub(crate) fn metadata(&self) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        if let Some(key) = self.options.key.as_ref().and_then(ApiKey::header) {
            metadata.insert("authorization", key);
        }
        metadata
    }

    /// A request with that key, and with the trace that it is part of.
    pub(crate) fn authorized<T>(&self, mut request: Request<T>) -> Request<T> {
        let metadata = request.metadata_mut();
        *metadata = self.metadata();
        if let Some(v1::TraceContext { traceparent, tracestate }) = self.trace() {
            for (name, value) in [("traceparent", Some(traceparent)), ("tracestate", tracestate)] {
                if let Some(value) = value.and_then(|value| value.parse().ok()) {
                    metadata.insert(name, value);
                }
            }
        }
        request
    }

    /// A request that has to be answered in time.
    pub(crate) fn timed<Q>(&self, asked: Asked<Q>) -> Request<Q> {
        let mut request = self.authorized(Request::new(asked.question));
        request.set_timeout(asked.deadline.saturating_duration_since(Instant::now()));
        request
    }

    /// A request that is answered by a stream: its deadline is for the first message, which only this end can tell.
    pub(crate) fn streamed<Q>(&self, asked: Asked<Q>) -> Request<Q> {
        self.authorized(Request::new(asked.question))
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// What a future comes to, unless the client is closed before.
    pub(crate) async fn while_open<T>(&self, future: impl Future<Output = T>) -> Result<T, StoreError> {
        let mut closed = self.closed.subscribe();
        tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => Err(StoreError::Closed),
            value = future => Ok(value),
        }
    }

    /// Asks until there is an answer, it may not be asked again, or the time is over.
    pub(crate) async fn call<Q, A, F>(
        &self,
        question: impl Fn() -> Q,
        again: Again,
        failure: impl Fn(Status) -> Failure,
        attempt: impl Fn(Asked<Q>) -> F,
    ) -> Result<A, Failure>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let deadline = Instant::now() + self.options.call_timeout;
        let mut pauses = Pauses::default();
        // Once a request may have been taken, no later failure can say that nothing was done.
        let mut lost = None;
        self.budget.earn();
        loop {
            // Pinned here and lent from here on: it is large, and would be copied each time that it is handed on.
            let mut attempt = pin!(attempt(Asked { question: question(), deadline }));
            let answer = self.while_open(timeout_at(deadline, attempt.as_mut())).await?;
            let (may_repeat, why) = match answer {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(status)) => match failure(status) {
                    Failure::Refused(error) => return Err(Failure::Refused(error)),
                    Failure::NotTaken(why) => (true, why),
                    Failure::Lost(why) => {
                        lost = Some(self.explained(why.clone()));
                        (again == Again::Harmless && self.budget.spend(), why)
                    }
                },
                Err(_) => {
                    let why = format!("{} did not answer in time", self.address);
                    return Err(lost.map_or(Failure::Lost(why), Failure::Lost));
                }
            };
            let why = self.explained(why);
            let pause = pauses.next();
            if !may_repeat || Instant::now() + pause >= deadline {
                return Err(lost.map_or(Failure::NotTaken(why), Failure::Lost));
            }
            tracing::debug!(address = self.address, why, "asking again");
            self.pause(pause).await?;
        }
    }

    /// A server that does not take this client's certificate hangs up, and often that is all that can be seen of it here.
    fn explained(&self, why: String) -> String {
        if self.options.identity.is_none() {
            return why;
        }
        format!(
            "{why}; if it stays so, the server may not know who issued this client's certificate, or take it for revoked: its log says"
        )
    }

    /// Waits, unless the client is closed.
    pub(crate) async fn pause(&self, pause: Duration) -> Result<(), StoreError> {
        self.while_open(sleep(pause)).await
    }
}
