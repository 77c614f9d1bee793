//! Values that are replaced as a whole, with the signatures of `arc_swap` and of `std`.

use std::{
    ops::Deref,
    sync::{Arc, atomic::Ordering},
};

use shuttle::sync::atomic::AtomicBool;

use super::Mutex;

/// What was there when it was looked at.
pub(crate) struct Guard<T>(T);

impl<T> Deref for Guard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

pub(crate) struct ArcSwap<T>(Mutex<Arc<T>>);

impl<T> ArcSwap<T> {
    pub(crate) fn from_pointee(value: T) -> Self {
        Self(Mutex::new(Arc::new(value)))
    }

    pub(crate) fn load(&self) -> Guard<Arc<T>> {
        Guard(self.load_full())
    }

    pub(crate) fn load_full(&self) -> Arc<T> {
        Arc::clone(&self.0.lock())
    }

    /// Others may replace it while the next value is made; then it is made again.
    pub(crate) fn rcu<R: Into<Arc<T>>>(&self, mut change: impl FnMut(&Arc<T>) -> R) {
        loop {
            let seen = self.load_full();
            let next = change(&seen).into();
            let mut current = self.0.lock();
            if Arc::ptr_eq(&seen, &current) {
                let before = std::mem::replace(&mut *current, next);
                drop(current);
                drop(before);
                return;
            }
        }
    }
}

pub(crate) struct ArcSwapOption<T>(Mutex<Option<Arc<T>>>);

impl<T> ArcSwapOption<T> {
    pub(crate) fn from_pointee(value: impl Into<Option<T>>) -> Self {
        Self(Mutex::new(value.into().map(Arc::new)))
    }

    pub(crate) fn load(&self) -> Guard<Option<Arc<T>>> {
        Guard(self.load_full())
    }

    pub(crate) fn load_full(&self) -> Option<Arc<T>> {
        self.0.lock().clone()
    }

    pub(crate) fn swap(&self, next: Option<Arc<T>>) -> Option<Arc<T>> {
        std::mem::replace(&mut *self.0.lock(), next)
    }
}

/// A cell of `std`, and a point for the scheduler before each look at it.
#[derive(Debug)]
pub(crate) struct OnceLock<T> {
    step: AtomicBool,
    value: std::sync::OnceLock<T>,
}

impl<T> OnceLock<T> {
    pub(crate) const fn new() -> Self {
        Self { step: AtomicBool::new(false), value: std::sync::OnceLock::new() }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        self.step.load(Ordering::SeqCst);
        self.value.get()
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        self.step.store(true, Ordering::SeqCst);
        self.value.set(value)
    }
}
