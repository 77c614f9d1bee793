//! A queue for one value, with the signatures of `tokio::sync::oneshot`.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::Mutex;

struct State<T> {
    value: Option<T>,
    is_sender_gone: bool,
    is_receiver_gone: bool,
    waker: Option<Waker>,
}

pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let state = State { value: None, is_sender_gone: false, is_receiver_gone: false, waker: None };
    let state = Arc::new(Mutex::new(state));
    (Sender(Arc::clone(&state)), Receiver(state))
}

pub(crate) struct Sender<T>(Arc<Mutex<State<T>>>);

impl<T> Sender<T> {
    /// Gives the value back if nobody waits for it any more.
    pub(crate) fn send(self, value: T) -> Result<(), T> {
        let mut state = self.0.lock();
        if state.is_receiver_gone {
            drop(state);
            return Err(value);
        }
        state.value = Some(value);
        // It is woken when this is dropped, which is now.
        drop(state);
        Ok(())
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.lock().is_receiver_gone
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_sender_gone = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The sender was dropped.
#[derive(Debug)]
pub(crate) struct RecvError;

pub(crate) struct Receiver<T>(Arc<Mutex<State<T>>>);

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.lock();
        if let Some(value) = state.value.take() {
            return Poll::Ready(Ok(value));
        }
        if state.is_sender_gone {
            return Poll::Ready(Err(RecvError));
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl<T> Drop for Receiver<T> {
    /// What was sent and not received is dropped with it.
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_receiver_gone = true;
        let (unseen, waker) = (state.value.take(), state.waker.take());
        drop(state);
        drop(waker);
        drop(unseen);
    }
}
