//! Making a group durable, and answering for it.

use std::sync::Arc;

use annalist_core::{AppendError, Position};

use super::{Answer, Answered, Answers, Group};
use crate::{
    concurrency::{Instant, oneshot},
    limits,
    shared::Shared,
};

/// Writes groups. The sequencer sees to it that only one is being written at a time, in order.
#[derive(Clone)]
pub(crate) struct Committer {
    shared: Arc<Shared>,
}

impl Committer {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Writes and syncs the group, moves the watermark, and only then answers.
    pub(super) fn commit(&self, group: Group) {
        let span = tracing::debug_span!(
            "annalist.page",
            pages = group.pages.len(),
            events = group.events,
            bytes = group.bytes,
            position = group.last.get()
        );
        let _entered = span.enter();
        let metrics = &self.shared.metrics;
        let began = Instant::now();
        metrics.commit_begins(began);
        // Behind a failed write nothing may be written: positions would be missing.
        let failure = self.shared.poisoned().or_else(|| {
            let written = if group.pages.is_empty() { Ok(()) } else { self.shared.log.write(&group.pages) };
            let why = written.err()?.into_store_error().to_string();
            self.shared.poison(why.clone());
            Some(AppendError::Unknown { why })
        });
        metrics.commit_ends();
        if failure.is_none() && group.last > Position::ZERO {
            let now = Instant::now();
            self.shared.publish(group.pages, group.last, group.totals);
            metrics.committed(now - began, group.answers.len(), group.events, group.bytes);
            for (_, Answered { request, answer, .. }) in &group.answers {
                if let Answer::Recorded { .. } = answer {
                    metrics.appended(now - request.began);
                }
            }
        }
        let mut answers = group.answers;
        if let Some(failure) = &failure {
            for (_, answered) in &mut answers {
                self.fail(&mut answered.answer, failure);
            }
        }
        answer(answers);
    }

    fn fail(&self, answer: &mut Answer, failure: &AppendError) {
        *answer = Answer::Refused(match answer {
            Answer::Recorded { .. } => failure.clone(),
            // It rested on something that may or may not have happened; this append itself was not written.
            Answer::Repeated(_) | Answer::Refused(_) | Answer::Stale => {
                self.shared.poisoned().unwrap_or(AppendError::Poisoned { reason: "a write failed".to_owned() })
            }
        });
    }
}

/// Sends the answers: to a few callers, who pass the others' on.
fn answer(mut answers: Vec<(oneshot::Sender<Answered>, Answered)>) {
    while let Some((caller, mut answered)) = answers.pop() {
        let rest = answers.len().saturating_sub(limits::ANSWERS_PASSED_ON);
        answered.others = Answers(answers.split_off(rest));
        // A caller that no longer waits gives the answers back, and dropping them sends them.
        let _ = caller.send(answered);
    }
}
