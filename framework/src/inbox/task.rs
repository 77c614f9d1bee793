//! The task of an inbox: connects, works, connects again.

use std::sync::Arc;

use annalist_core::StoreError;
use tokio::{sync::watch, time::sleep};

use super::{
    consumer::{ConsumeError, Consumer, Terms},
    note::{Begin, Note},
    session::{Ended, Session},
    status::{InboxState, InboxStatus, InboxStopped},
    wiring::KeyOf,
    work::{Work, is_true},
};

pub(super) struct Task {
    pub(super) consumer: Box<dyn Consumer>,
    pub(super) key: Arc<KeyOf>,
    pub(super) work: Arc<Work>,
    pub(super) stop: watch::Receiver<bool>,
}

impl Task {
    pub(super) async fn run(mut self) {
        let status = LastWord(self.work.status.clone());
        let why = self.consume().await;
        self.consumer.close().await;
        match &why {
            InboxStopped::Shutdown => tracing::info!("the inbox was shut down"),
            why => tracing::error!(%why, "the inbox has stopped"),
        }
        status.0.send_modify(|status| status.state = InboxState::Stopped(why));
    }

    async fn consume(&mut self) -> InboxStopped {
        let mut failures = 0;
        loop {
            let error = match self.session(&mut failures).await {
                Ended::Stopped => return InboxStopped::Shutdown,
                Ended::Lost(ConsumeError::Misconfigured { detail }) => return InboxStopped::Misconfigured { detail },
                Ended::Lost(error) => error.to_string(),
            };
            failures += 1;
            let pause = self.work.options.backoff(failures, self.work.env.jitter());
            tracing::warn!(error, ?pause, "consuming was interrupted; the inbox connects again");
            self.work.status.send_modify(|status| {
                status.state = InboxState::Connecting;
                status.last_error = Some(error);
            });
            tokio::select! {
                biased;
                () = is_true(&mut self.stop) => return InboxStopped::Shutdown,
                () = sleep(pause) => {}
            }
        }
    }

    async fn session(&mut self, failures: &mut u32) -> Ended {
        let (inbox, source, options) = (self.work.inbox, self.consumer.name(), &self.work.options);
        let unreadable =
            |error: StoreError| ConsumeError::Unavailable { detail: format!("not without the store: {error}") };
        let begin = match Begin::find(&*self.work.log, &*self.work.notes, inbox, &source).await {
            Ok(begin) => begin,
            Err(error) => return Ended::Lost(unreadable(error)),
        };
        let mut terms = Terms::new(inbox, options.in_flight_max.max(1), options.ack_wait);
        terms.from = begin.from;
        let connected = tokio::select! {
            biased;
            () = is_true(&mut self.stop) => return Ended::Stopped,
            connected = self.consumer.connect(&terms) => connected,
        };
        if let Err(error) = connected {
            return Ended::Lost(error);
        }
        if let Some(from) = begin.from {
            let note = Note::new(begin.log, source.clone(), from.saturating_sub(1));
            if let Err(error) = note.save(&*self.work.notes, inbox).await {
                return Ended::Lost(unreadable(error));
            }
            tracing::warn!(
                from,
                "the store was restored since this inbox worked last: what it acknowledged from message {from} on comes again, \
                 and what the store has of it is recognised"
            );
        }
        *failures = 0;
        self.work.status.send_modify(|status| {
            status.state = InboxState::Connected;
            status.last_error = None;
        });
        tracing::info!("the inbox is connected");
        let mut session = Session::new(Arc::clone(&self.work), Arc::clone(&self.key), begin.log, source);
        let ended = session.run(&mut *self.consumer, &mut self.stop).await;
        session.end(matches!(ended, Ended::Stopped)).await;
        ended
    }
}

/// Whatever ends the task, its last status says that it has ended.
struct LastWord(watch::Sender<InboxStatus>);

impl Drop for LastWord {
    fn drop(&mut self) {
        self.0.send_if_modified(|status| {
            let silent = status.stopped().is_none();
            if silent {
                status.state = InboxState::Stopped(InboxStopped::Abandoned);
            }
            silent
        });
    }
}
