//! A bound of the memory that the bodies of all requests have together.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use annalist_core::StoreError;
use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures_util::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::{Problem, is_grpc};

/// What has no end.
const JOIN: &str = "/annalist.v1.Groups/Join";

/// The memory that there is for bodies.
pub(crate) struct Memory {
    free: Arc<Semaphore>,
    bytes: usize,
}

impl Memory {
    pub(crate) fn new(bytes: usize) -> Self {
        let bytes = bytes.min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(bytes)), bytes }
    }
}

/// What one request has of it, from the arrival of its bytes until it is answered. Every request has this as an extension: one
/// that is many says itself when it needs some of it no more.
pub(crate) struct Held {
    memory: Arc<Memory>,
    bytes: Mutex<Option<OwnedSemaphorePermit>>,
    refused: AtomicBool,
}

impl Held {
    /// Gives back a part of it.
    pub(crate) fn release(&self, bytes: usize) {
        let mut held = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let all = held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        drop(held.as_mut().and_then(|held| held.split(bytes.min(all))));
    }

    /// Whether less than half of the memory is free.
    pub(crate) fn is_scarce(&self) -> bool {
        self.memory.free.available_permits() < self.memory.bytes / 2
    }

    fn take(&self, bytes: usize) -> bool {
        let free = Arc::clone(&self.memory.free);
        let more = u32::try_from(bytes).ok().and_then(|bytes| free.try_acquire_many_owned(bytes).ok());
        let Some(more) = more else {
            self.refused.store(true, Ordering::Relaxed);
            return false;
        };
        let mut held = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        match held.as_mut() {
            Some(held) => held.merge(more),
            None => *held = Some(more),
        }
        true
    }
}

/// Takes what a body needs as it arrives, and refuses the request when there is no more. It does not wait: requests that each
/// have a part and wait for the rest would wait for each other.
pub(crate) async fn within(State(memory): State<Arc<Memory>>, mut request: Request, next: Next) -> Response {
    if request.uri().path() == JOIN {
        // It goes on for as long as its member is there, and its messages are small.
        return next.run(request).await;
    }
    let grpc = is_grpc(request.headers());
    let held = Arc::new(Held { memory, bytes: Mutex::new(None), refused: AtomicBool::new(false) });
    let counting = Arc::clone(&held);
    request.extensions_mut().insert(Arc::clone(&held));
    let request = request.map(|body| {
        Body::from_stream(body.into_data_stream().map(move |chunk| {
            let chunk = chunk.map_err(io::Error::other)?;
            let fits = counting.take(chunk.len());
            fits.then_some(chunk).ok_or_else(|| io::Error::other("there is no memory for it"))
        }))
    });
    let response = next.run(request).await;
    if !held.refused.load(Ordering::Relaxed) {
        return response;
    }
    let why = "requests in flight take all memory that there is for them; try again later".to_owned();
    let error = StoreError::Unavailable { why };
    if grpc { annalist_proto::store_status(&error).into_http() } else { Problem::from(error).into_response() }
}
