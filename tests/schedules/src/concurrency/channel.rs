//! Queues with a bound, with the signatures of `crossbeam_channel`.

use std::{collections::VecDeque, sync::Arc};

use shuttle::thread::{self, Thread};

use super::{
    Mutex, choose, happens_once_in,
    time::{self, Instant},
};

struct State<T> {
    items: VecDeque<T>,
    capacity: usize,
    is_sender_gone: bool,
    is_receiver_gone: bool,
    /// Who looks again when something changes.
    waiting: Vec<Thread>,
}

impl<T> State<T> {
    fn try_receive(&mut self) -> Result<T, TryRecvError> {
        let empty = if self.is_sender_gone { TryRecvError::Disconnected } else { TryRecvError::Empty };
        self.items.pop_front().ok_or(empty)
    }
}

struct Queue<T>(Mutex<State<T>>);

impl<T> Queue<T> {
    /// Does something that may help those who wait.
    fn change<R>(&self, change: impl FnOnce(&mut State<T>) -> R) -> R {
        let mut state = self.0.lock();
        let changed = change(&mut state);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.iter().for_each(Thread::unpark);
        changed
    }

    /// Receives if something is there or can never come; otherwise the caller is told when it changes, if it says so.
    fn receive(&self, waits: bool) -> Result<T, TryRecvError> {
        let mut state = self.0.lock();
        let received = state.try_receive();
        match received {
            Err(TryRecvError::Empty) if waits => state.waiting.push(thread::current()),
            Ok(_) => {
                let waiting = std::mem::take(&mut state.waiting);
                drop(state);
                waiting.iter().for_each(Thread::unpark);
            }
            Err(_) => {}
        }
        received
    }
}

pub(crate) fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let state =
        State { items: VecDeque::new(), capacity, is_sender_gone: false, is_receiver_gone: false, waiting: Vec::new() };
    let queue = Arc::new(Queue(Mutex::new(state)));
    (Sender(Arc::clone(&queue)), Receiver(queue))
}

/// There is one of each queue, which is all that the store needs.
pub(crate) struct Sender<T>(Arc<Queue<T>>);

/// The receiver is gone; here is what was to be sent.
#[derive(Debug)]
pub(crate) struct SendError<T>(pub(crate) T);

impl<T> Sender<T> {
    pub(crate) fn send(&self, item: T) -> Result<(), SendError<T>> {
        loop {
            let mut state = self.0.0.lock();
            if state.is_receiver_gone {
                drop(state);
                return Err(SendError(item));
            }
            if state.items.len() < state.capacity {
                drop(state);
                return self.push(item);
            }
            state.waiting.push(thread::current());
            drop(state);
            thread::park();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.0.lock().items.len()
    }
}

impl<T> Sender<T> {
    fn push(&self, item: T) -> Result<(), SendError<T>> {
        self.0.change(|state| {
            if state.is_receiver_gone {
                return Err(SendError(item));
            }
            state.items.push_back(item);
            Ok(())
        })
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.change(|state| state.is_sender_gone = true);
    }
}

pub(crate) struct Receiver<T>(Arc<Queue<T>>);

/// The sender is gone, and everything that it sent was received.
#[derive(Debug)]
pub(crate) struct RecvError;

#[derive(Clone, Copy, Debug)]
pub(crate) enum TryRecvError {
    Empty,
    Disconnected,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum RecvTimeoutError {
    Timeout,
    Disconnected,
}

impl<T> Receiver<T> {
    pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
        self.0.receive(false)
    }

    pub(crate) fn recv(&self) -> Result<T, RecvError> {
        loop {
            match self.0.receive(true) {
                Ok(item) => return Ok(item),
                Err(TryRecvError::Disconnected) => return Err(RecvError),
                Err(TryRecvError::Empty) => thread::park(),
            }
        }
    }

    /// When the time has come is left to chance.
    pub(crate) fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        loop {
            match self.try_recv() {
                Ok(item) => return Ok(item),
                Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
                Err(TryRecvError::Empty) if happens_once_in(3) => {
                    time::pass_until(deadline);
                    return Err(RecvTimeoutError::Timeout);
                }
                Err(TryRecvError::Empty) => thread::yield_now(),
            }
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let unseen = self.0.change(|state| {
            state.is_receiver_gone = true;
            std::mem::take(&mut state.items)
        });
        drop(unseen);
    }
}

impl<T> Iterator for Receiver<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.recv().ok()
    }
}

pub(crate) struct Iter<'a, T>(&'a Receiver<T>);

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        Iter(self)
    }
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.recv().ok()
    }
}

/// What came of two queues.
pub(crate) enum Either<A, B> {
    One(Result<A, RecvError>),
    Other(Result<B, RecvError>),
}

/// Waits for either queue; which comes first if both could is left to chance.
pub(crate) fn either<A, B>(one: &Receiver<A>, other: &Receiver<B>) -> Either<A, B> {
    fn ready<T>(receiver: &Receiver<T>) -> Option<Result<T, RecvError>> {
        match receiver.0.receive(true) {
            Ok(item) => Some(Ok(item)),
            Err(TryRecvError::Disconnected) => Some(Err(RecvError)),
            Err(TryRecvError::Empty) => None,
        }
    }
    loop {
        let swapped = choose(2) == 1;
        let found = if swapped { ready(other).map(Either::Other) } else { ready(one).map(Either::One) };
        let found =
            found.or_else(|| if swapped { ready(one).map(Either::One) } else { ready(other).map(Either::Other) });
        if let Some(found) = found {
            return found;
        }
        thread::park();
    }
}

macro_rules! select {
    (recv($one:expr) -> $a:pat => $then:expr, recv($other:expr) -> $b:pat => $or:expr $(,)?) => {
        match $crate::concurrency::either(&$one, &$other) {
            $crate::concurrency::Either::One($a) => $then,
            $crate::concurrency::Either::Other($b) => $or,
        }
    };
}
pub(crate) use select;
