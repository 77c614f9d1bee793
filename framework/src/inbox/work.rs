//! One message, from the first attempt to its answer.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc};

use annalist_core::{Checkpoints, EventStore};
use futures_util::FutureExt;
use tokio::{
    sync::{Semaphore, watch},
    time::sleep,
};

use super::{
    consumer::{Answer, ConsumeError},
    context::InboxContext,
    dead::{Death, DeathReason},
    error::HandleError,
    handlers::Handlers,
    lanes::Held,
    message::Incoming,
    options::{InboxOptions, OnNewer},
    status::InboxStatus,
};
use crate::{command::Commands, env::Env, event::DecodeError};

/// All that is needed to handle messages; shared by those who do.
pub(super) struct Work {
    pub(super) inbox: &'static str,
    pub(super) handlers: Handlers,
    pub(super) commands: Arc<Commands>,
    pub(super) env: Arc<dyn Env>,
    pub(super) options: InboxOptions,
    pub(super) turns: Semaphore,
    pub(super) status: watch::Sender<InboxStatus>,
    /// The log that has what the messages caused, and the notes beside it.
    pub(super) log: Arc<dyn EventStore>,
    pub(super) notes: Arc<dyn Checkpoints>,
}

/// What came of a message.
#[derive(Debug)]
pub(super) enum Worked {
    /// It is answered.
    Done,
    /// It was not tried to the end, because the session ends.
    Abandoned,
    /// It could not be answered.
    Lost(ConsumeError),
}

/// What came of one attempt.
enum Attempt {
    Handled,
    Unwanted,
    /// It is tried again; `counts` says whether that was its own fault.
    Again {
        error: String,
        counts: bool,
    },
    Dead(DeathReason, String),
}

impl Work {
    /// Handles one message and answers it. Ends between attempts when `abandoned` says so.
    pub(super) async fn work(&self, held: &Held, mut abandoned: watch::Receiver<bool>) -> Worked {
        let message = match &held.message {
            Ok(message) => message,
            Err(malformed) => {
                let death = Death::new(DeathReason::Malformed, malformed.to_string(), 1);
                return self.bury(&*held.answer, death).await;
            }
        };
        let (mut attempts, mut faults) = (0_u32, 0_u32);
        loop {
            let turn = tokio::select! {
                biased;
                () = is_true(&mut abandoned) => return Worked::Abandoned,
                turn = self.turns.acquire() => turn,
            };
            attempts = attempts.saturating_add(1);
            let attempt = self.attempt(message, attempts).await;
            drop(turn);
            let (error, counts) = match attempt {
                Attempt::Handled => return self.settle(held.answer.ack().await, |status| status.handled += 1),
                Attempt::Unwanted => return self.settle(held.answer.ack().await, |status| status.skipped += 1),
                Attempt::Dead(reason, error) => {
                    return self.bury(&*held.answer, Death::new(reason, error, attempts)).await;
                }
                Attempt::Again { error, counts } => (error, counts),
            };
            faults = faults.saturating_add(u32::from(counts));
            if faults >= self.options.attempts_max {
                return self.bury(&*held.answer, Death::new(DeathReason::Exhausted, error, attempts)).await;
            }
            let pause = self.options.backoff(attempts, self.env.jitter());
            tracing::warn!(error, attempt = attempts, ?pause, "a message could not be handled; it is tried again");
            self.status.send_modify(|status| {
                (status.failures, status.failing) = (status.failures + 1, status.failing + 1);
                status.last_error = Some(error);
            });
            let go_on = tokio::select! {
                biased;
                () = is_true(&mut abandoned) => false,
                () = sleep(pause) => true,
            };
            self.status.send_modify(|status| status.failing = status.failing.saturating_sub(1));
            if !go_on {
                return Worked::Abandoned;
            }
        }
    }

    async fn attempt(&self, message: &Arc<Incoming>, attempt: u32) -> Attempt {
        let cx = || InboxContext::new(Arc::clone(&self.commands), self.inbox, Arc::clone(message), attempt);
        // A handler that panics has failed like any other, and harms only its message.
        let handling = async {
            match self.handlers.begin(Arc::clone(message), cx) {
                Ok(None) => Ok(false),
                Ok(Some(handling)) => handling.await.map(|()| true).map_err(Failure::Handler),
                Err(error) => Err(Failure::Decoding(error)),
            }
        };
        match AssertUnwindSafe(handling).catch_unwind().await {
            Ok(Ok(true)) => Attempt::Handled,
            Ok(Ok(false)) => Attempt::Unwanted,
            Ok(Err(Failure::Handler(error))) => of_handler(&error),
            Ok(Err(Failure::Decoding(error))) => self.of_decoding(&error),
            Err(panic) => Attempt::Again { error: format!("the handler panicked: {}", text(&*panic)), counts: true },
        }
    }

    fn of_decoding(&self, error: &DecodeError) -> Attempt {
        match (error, self.options.on_newer) {
            (DecodeError::FutureVersion { .. }, OnNewer::Wait) => {
                Attempt::Again { error: error.to_string(), counts: false }
            }
            _ => Attempt::Dead(DeathReason::Unreadable, error.to_string()),
        }
    }

    async fn bury(&self, answer: &dyn Answer, death: Death) -> Worked {
        let buried = answer.dead(&death).await;
        let Death { reason, error, attempts } = death;
        if buried.is_ok() {
            tracing::error!(%reason, error, attempts, "a message became a dead letter");
        }
        self.settle(buried, |status| {
            status.dead += 1;
            status.last_error = Some(error);
        })
    }

    fn settle(&self, answered: Result<(), ConsumeError>, count: impl FnOnce(&mut InboxStatus)) -> Worked {
        match answered {
            Ok(()) => {
                self.status.send_modify(|status| {
                    // What still fails is still to be seen.
                    if status.failing == 0 {
                        status.last_error = None;
                    }
                    count(status);
                });
                Worked::Done
            }
            Err(error) => Worked::Lost(error),
        }
    }
}

enum Failure {
    Handler(HandleError),
    Decoding(DecodeError),
}

fn of_handler(error: &HandleError) -> Attempt {
    let text = error.chain();
    match error {
        HandleError::Wait(_) => Attempt::Again { error: text, counts: false },
        HandleError::Retry(_) => Attempt::Again { error: text, counts: true },
        HandleError::Refuse(_) => Attempt::Dead(DeathReason::Refused, text),
    }
}

/// What a panic said.
fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it did not say why")
}

/// Waits until somebody says `true`, or nobody is left to say it.
pub(super) async fn is_true(watch: &mut watch::Receiver<bool>) {
    _ = watch.wait_for(|said| *said).await;
}
