//! Those who use a simulated app.

use std::{cell::RefCell, error::Error, time::Duration};

use tokio::time::sleep;

use super::random::Random;
use crate::{app::App, command::ExecuteError};

/// One of those who use a simulated app. It does its work again from the beginning in each life of the app, so it gives
/// its commands keys.
#[derive(Debug)]
pub struct Client {
    app: App,
    number: usize,
    random: RefCell<Random>,
}

impl Client {
    pub(super) fn new(app: App, number: usize, seed: u64) -> Self {
        // 0 is the world's.
        let usage = u64::try_from(number).unwrap_or(u64::MAX).saturating_add(1);
        Self { app, number, random: RefCell::new(Random::new(seed, usage)) }
    }

    /// The app in its present life.
    pub const fn app(&self) -> &App {
        &self.app
    }

    /// Which client it is, from 0.
    #[must_use]
    pub const fn number(&self) -> usize {
        self.number
    }

    /// A number from 0 up to and without `end`; 0 if that is 0. In each life the client is given the same numbers in the
    /// same order, so its work is the same if it asks for them in the same order.
    pub fn below(&self, end: u64) -> u64 {
        self.random.borrow_mut().below(end)
    }

    /// Executes a command until there is an answer to it: that it is recorded, or a rejection. The command needs a key.
    ///
    /// # Errors
    /// What the domain rejects.
    ///
    /// # Panics
    /// When the command fails in a way that does not pass by itself: that is what the simulation is to find.
    pub async fn insist<T, R: Error + 'static>(
        &self,
        execute: impl AsyncFn() -> Result<T, ExecuteError<R>>,
    ) -> Result<T, R> {
        loop {
            match execute().await {
                Ok(done) => return Ok(done),
                Err(ExecuteError::Rejected(rejection)) => return Err(rejection),
                Err(error) => assert!(error.is_retryable(), "client {}: {error:?}", self.number),
            }
            sleep(Duration::from_millis(1)).await;
        }
    }
}
