//! Who waits for an instance to come to rest.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// Those who wait, by the key of the instance: as many as there are callers who wait, each for no longer than it said.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    keys: Mutex<HashMap<String, Shared>>,
}

#[derive(Debug)]
struct Shared {
    waiters: usize,
    rests: Arc<Notify>,
}

/// One who waits.
#[derive(Debug)]
pub(super) struct Waiter<'a> {
    awaited: &'a Awaited,
    key: &'a str,
    /// Told when the instance comes to rest.
    pub(super) rests: Arc<Notify>,
}

impl Awaited {
    pub(super) fn waiter<'a>(&'a self, key: &'a str) -> Waiter<'a> {
        let mut keys = self.lock();
        let shared = keys.entry(key.to_owned()).or_insert_with(|| Shared { waiters: 0, rests: Arc::default() });
        shared.waiters += 1;
        let rests = Arc::clone(&shared.rests);
        drop(keys);
        Waiter { awaited: self, key, rests }
    }

    /// The instance has come to rest.
    pub(super) fn tell(&self, key: &str) {
        if let Some(shared) = self.lock().get(key) {
            shared.rests.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Shared>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut keys = self.awaited.lock();
        if let Some(shared) = keys.get_mut(self.key) {
            shared.waiters -= 1;
            if shared.waiters == 0 {
                keys.remove(self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Awaited;

    #[tokio::test]
    async fn those_who_wait_for_an_instance_are_told_and_nothing_is_left_behind() {
        let awaited = Awaited::default();
        let (first, second, other) = (awaited.waiter("a"), awaited.waiter("a"), awaited.waiter("b"));
        let (told, told_too) = (first.rests.notified(), second.rests.notified());
        awaited.tell("a");
        tokio::join!(told, told_too);
        let not_told = other.rests.notified();
        drop(not_told);
        drop((first, second));
        assert_eq!(awaited.lock().len(), 1);
        drop(other);
        assert_eq!(awaited.lock().len(), 0);
        awaited.tell("a");
    }
}
