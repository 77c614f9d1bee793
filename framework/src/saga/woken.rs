//! Which instances have something to be done.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::limits::WOKEN_MAX;

/// Instances that wait for their turn. Each is worked on by one at a time; whoever comes meanwhile makes it look again.
#[derive(Debug, Default)]
pub(super) struct Woken {
    inner: Mutex<Inner>,
    came: Notify,
    room: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    queue: VecDeque<String>,
    known: HashMap<String, Turn>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turn {
    Waiting,
    Working,
    /// Something came while it was worked on.
    Again,
}

impl Woken {
    /// The instance has something to be done.
    pub(super) fn wake(&self, key: &str) {
        let mut inner = self.lock();
        match inner.known.get_mut(key) {
            Some(Turn::Waiting | Turn::Again) => {}
            Some(turn) => *turn = Turn::Again,
            None => inner.enqueue(key.to_owned()),
        }
        drop(inner);
        self.came.notify_one();
    }

    /// Waits for an instance, which is then worked on. Cancel-safe; there is one who waits.
    pub(super) async fn next(&self) -> String {
        loop {
            if let Some(key) = self.take() {
                self.room.notify_waiters();
                return key;
            }
            self.came.notified().await;
        }
    }

    /// The work on an instance has ended.
    pub(super) fn worked(&self, key: &str) {
        let mut inner = self.lock();
        if inner.known.remove(key) == Some(Turn::Again) {
            inner.enqueue(key.to_owned());
            drop(inner);
            self.came.notify_one();
        }
    }

    /// Waits until the queue is not full. What wakes an instance goes first through here, so the queue is bounded by the
    /// limit and by how many do so at once.
    pub(super) async fn room(&self) {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if self.lock().queue.len() < WOKEN_MAX {
                return;
            }
            room.await;
        }
    }

    fn take(&self) -> Option<String> {
        let mut inner = self.lock();
        let key = inner.queue.pop_front()?;
        inner.known.insert(key.clone(), Turn::Working);
        Some(key)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn enqueue(&mut self, key: String) {
        self.known.insert(key.clone(), Turn::Waiting);
        self.queue.push_back(key);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::Woken;

    #[tokio::test]
    async fn an_instance_is_worked_on_by_one_at_a_time_and_again_if_something_came() {
        let woken = Woken::default();
        woken.wake("a");
        woken.wake("a");
        assert_eq!(woken.next().await, "a");
        assert_eq!(woken.next().now_or_never(), None, "it was woken twice but waits once");
        woken.wake("a");
        assert_eq!(woken.next().now_or_never(), None, "it is being worked on");
        woken.worked("a");
        assert_eq!(woken.next().await, "a");
        woken.worked("a");
        assert_eq!(woken.next().now_or_never(), None);
    }
}
