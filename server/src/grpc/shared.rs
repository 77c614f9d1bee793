//! Calls that many requests share: appends, and reads that are expected to be short.

use std::sync::Arc;

use annalist_proto::{
    PipelineRequest, decode_append, framed_bytes,
    v1::{self, lookup_response::Answer as Looking, pipeline_response::Answer as Appending},
};
use tokio::runtime::Handle;
use tonic::{Code, Request, Status, Streaming};
use tracing::{Instrument as _, Span};

use super::{
    apart::apart,
    events::{append, look_up},
    pipeline::{Order, Taken, answering},
    streams::Answers,
    who,
};
use crate::{
    access::{Denials, LOOKUP, PIPELINE},
    limits::LOOKUP_BYTES_MAX,
    memory::Held,
    principal::Principal,
    requests,
    stopping::Stopping,
};

/// What the requests of one call have in common.
#[derive(Clone)]
pub(super) struct Caller(Arc<Common>);

struct Common {
    store: super::Events,
    who: Arc<Principal>,
    denials: Option<Denials>,
    memory: Option<Arc<Held>>,
    stopping: Stopping,
}

impl Caller {
    pub(super) fn of<T>(request: &Request<T>, store: &super::Events, stopping: &Stopping) -> Result<Self, Status> {
        let (store, who, stopping) = (Arc::clone(store), who(request)?, stopping.clone());
        let (denials, memory) = (request.extensions().get().cloned(), request.extensions().get().cloned());
        Ok(Self(Arc::new(Common { store, who, denials, memory, stopping })))
    }

    /// A request is answered: it needs no memory any more, and if it was denied, that is told.
    fn answered<A, W>(
        &self,
        bytes: usize,
        answer: Result<A, Status>,
        done: fn(A) -> W,
        failed: fn(v1::Refusal) -> W,
    ) -> W {
        if let Some(memory) = &self.0.memory {
            memory.release(bytes);
        }
        match answer {
            Ok(answer) => done(answer),
            Err(status) => {
                requests::came_to(&Span::current(), status.code());
                if let (Code::PermissionDenied, Some(denials)) = (status.code(), &self.0.denials) {
                    denials.tell();
                }
                failed(status.into())
            }
        }
    }

    fn memory_is_scarce(&self) -> impl Fn() -> bool + Send + use<> {
        let common = Arc::clone(&self.0);
        move || common.memory.as_ref().is_some_and(|memory| memory.is_scarce())
    }
}

/// Appends that share a call.
pub(super) fn appends(caller: Caller, requests: Streaming<PipelineRequest>) -> Answers<v1::PipelineResponse> {
    let (scarce, stopping) = (caller.memory_is_scarce(), caller.0.stopping.clone());
    let take = move |request: PipelineRequest| {
        let (number, bytes, caller) = (request.number, framed_bytes(&request), caller.clone());
        let span = requests::shared(PIPELINE, request.trace.as_ref());
        let answer = async move {
            let appended = append(&caller.0.store, &caller.0.who, decode_append(&request.append)).await;
            let answer = caller.answered(bytes, appended, Appending::Appended, Appending::Refusal);
            (v1::PipelineResponse { number, answer: Some(answer) }, bytes)
        };
        Taken { number, bytes, answer: answer.instrument(span) }
    };
    let closing = |number| v1::PipelineResponse { number, answer: Some(Appending::Closing(v1::Closing {})) };
    answering(requests, Order::AsTheyCome, take, closing, scarce, stopping)
}

/// Reads that share a call. One that is alone is made where it came in. Of those that come together one thread makes no more than
/// its share, so that several are made at a time: the others are made by the threads of `readers`.
pub(super) fn lookups(
    caller: Caller,
    readers: Handle,
    requests: Streaming<v1::LookupRequest>,
) -> Answers<v1::LookupResponse> {
    let (scarce, stopping) = (caller.memory_is_scarce(), caller.0.stopping.clone());
    let threads = u64::try_from(readers.metrics().num_workers()).unwrap_or(1);
    // Each of them has it, and so has what takes them.
    let under_way = Arc::new(());
    let take = move |request: v1::LookupRequest| {
        let (number, bytes, caller) = (request.number, framed_bytes(&request), caller.clone());
        let span = requests::shared(LOOKUP, request.trace.as_ref());
        let answer = async move {
            let found = look_up(&caller.0.store, &caller.0.who, request.read.unwrap_or_default()).await;
            let answer = caller.answered(bytes, found, Looking::Found, Looking::Refusal);
            v1::LookupResponse { number, answer: Some(answer) }
        };
        let (answer, readers, under_way) = (answer.instrument(span), readers.clone(), Arc::clone(&under_way));
        let answer = async move {
            let is_alone = Arc::strong_count(&under_way) <= 2;
            let answer =
                if is_alone || number.is_multiple_of(threads) { answer.await } else { apart(&readers, answer).await };
            (answer, LOOKUP_BYTES_MAX)
        };
        Taken { number, bytes: LOOKUP_BYTES_MAX, answer }
    };
    let closing = |number| v1::LookupResponse { number, answer: Some(Looking::Closing(v1::Closing {})) };
    answering(requests, Order::Together, take, closing, scarce, stopping)
}
