//! A value that others watch, with the signatures of `tokio::sync::watch`.

use std::{
    future::poll_fn,
    ops::Deref,
    sync::Arc,
    task::{Poll, Waker},
};

use super::Mutex;

struct State<T> {
    value: T,
    version: u64,
    is_sender_gone: bool,
    waiting: Vec<Waker>,
}

pub(crate) struct Sender<T>(Arc<Mutex<State<T>>>);

impl<T> Sender<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Arc::new(Mutex::new(State { value, version: 0, is_sender_gone: false, waiting: Vec::new() })))
    }

    pub(crate) fn subscribe(&self) -> Receiver<T> {
        let seen = self.0.lock().version;
        Receiver { state: Arc::clone(&self.0), seen }
    }

    pub(crate) fn send_replace(&self, value: T) -> T {
        let mut state = self.0.lock();
        let before = std::mem::replace(&mut state.value, value);
        state.version += 1;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        before
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_sender_gone = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// The sender was dropped.
#[derive(Debug)]
pub(crate) struct RecvError;

pub(crate) struct Receiver<T> {
    state: Arc<Mutex<State<T>>>,
    seen: u64,
}

/// The value as it was.
pub(crate) struct Ref<T>(T);

impl<T> Deref for Ref<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Copy> Receiver<T> {
    pub(crate) fn borrow_and_update(&mut self) -> Ref<T> {
        let state = self.state.lock();
        self.seen = state.version;
        Ref(state.value)
    }

    /// Ends when there is a value that was not seen; fails if there can be none.
    pub(crate) async fn changed(&mut self) -> Result<(), RecvError> {
        poll_fn(|context| {
            let mut state = self.state.lock();
            if self.seen != state.version {
                self.seen = state.version;
                return Poll::Ready(Ok(()));
            }
            if state.is_sender_gone {
                return Poll::Ready(Err(RecvError));
            }
            state.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}
