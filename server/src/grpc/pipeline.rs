//! Many questions on one call.

use std::{future::Future, pin::Pin};

use annalist_core::Invalid;
use futures_util::{
    FutureExt as _, Stream, StreamExt as _,
    stream::{FuturesUnordered, try_unfold},
};
use tokio::time::sleep;
use tonic::Status;

use super::{invalid, streams::Answers};
use crate::{
    limits::{PIPELINE_AGE_MAX, PIPELINE_BYTES_MAX, PIPELINE_QUESTIONS_MAX},
    stopping::Stopping,
};

/// A question that is being answered.
pub(super) struct Taken<F> {
    /// Its number.
    pub(super) number: u64,
    /// What it holds in memory meanwhile, roughly.
    pub(super) bytes: usize,
    /// What comes to its answer, and to the bytes once more: they are free then.
    pub(super) answer: F,
}

/// What is begun first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Each question as soon as it is taken.
    AsTheyCome,
    /// None before all are taken that are there, so that each knows whether there are others.
    Together,
}

/// Takes questions as they come and answers each when it is done. When it closes it says the number of the last one that it
/// has taken, and answers still what it has taken. While memory is scarce it takes one at a time.
pub(super) fn answering<R, Q, A, F>(
    questions: R,
    order: Order,
    take: impl Fn(Q) -> Taken<F> + Send + 'static,
    closing: fn(u64) -> A,
    memory_is_scarce: impl Fn() -> bool + Send + 'static,
    stopping: Stopping,
) -> Answers<A>
where
    R: Stream<Item = Result<Q, Status>> + Send + Unpin + 'static,
    Q: Send + 'static,
    A: Send + 'static,
    F: Future<Output = (A, usize)> + Send + 'static,
{
    let closes: Closes = Box::pin(async move {
        tokio::select! {
            () = stopping.stopped() => {}
            () = sleep(PIPELINE_AGE_MAX) => {}
        }
    });
    let pipeline = Pipeline {
        questions: Some(questions),
        order,
        take,
        closing,
        memory_is_scarce,
        in_flight: FuturesUnordered::new(),
        bytes: 0,
        taken: 0,
        closes,
        failed: None,
    };
    Box::pin(try_unfold(pipeline, |mut pipeline| async move {
        let answer = pipeline.next().await?;
        Ok(answer.map(|answer| (answer, pipeline)))
    }))
}

type Closes = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Pipeline<R, T, S, A, F> {
    /// `None` once no more are taken.
    questions: Option<R>,
    order: Order,
    take: T,
    closing: fn(u64) -> A,
    memory_is_scarce: S,
    /// What is being answered.
    in_flight: FuturesUnordered<F>,
    /// What all of them hold.
    bytes: usize,
    /// The last one that was taken.
    taken: u64,
    closes: Closes,
    /// Why it could not go on.
    failed: Option<Status>,
}

impl<R, T, Q, S, A, F> Pipeline<R, T, S, A, F>
where
    R: Stream<Item = Result<Q, Status>> + Unpin,
    T: Fn(Q) -> Taken<F>,
    S: Fn() -> bool,
    A: Send + 'static,
    F: Future<Output = (A, usize)>,
{
    async fn next(&mut self) -> Result<Option<A>, Status> {
        loop {
            let is_full = self.is_full();
            let Some(questions) = &mut self.questions else {
                let answer = self.in_flight.next().await.map(|(answer, _)| answer);
                return if answer.is_none() { self.failed.take().map_or(Ok(None), Err) } else { Ok(answer) };
            };
            if self.order == Order::Together
                && !is_full
                && let Some(question) = questions.next().now_or_never()
            {
                if let Some(closing) = self.take_next(question) {
                    return Ok(Some(closing));
                }
                continue;
            }
            tokio::select! {
                biased;
                Some((answer, bytes)) = self.in_flight.next() => {
                    self.bytes -= bytes;
                    return Ok(Some(answer));
                }
                () = &mut self.closes => return Ok(Some(self.close())),
                question = questions.next(), if !is_full => {
                    if let Some(closing) = self.take_next(question) {
                        return Ok(Some(closing));
                    }
                }
            }
        }
    }

    fn is_full(&self) -> bool {
        self.in_flight.len() >= PIPELINE_QUESTIONS_MAX
            || self.bytes >= PIPELINE_BYTES_MAX
            || (!self.in_flight.is_empty() && (self.memory_is_scarce)())
    }

    /// Takes a question, or notes that there are no more. Something is to be said if it has to close.
    fn take_next(&mut self, question: Option<Result<Q, Status>>) -> Option<A> {
        let Some(question) = question else {
            self.questions = None;
            return None;
        };
        let status = question.and_then(|question| self.take(question)).err()?;
        // What it has taken is answered all the same.
        self.failed = Some(status);
        Some(self.close())
    }

    fn close(&mut self) -> A {
        self.questions = None;
        (self.closing)(self.taken)
    }

    fn take(&mut self, question: Q) -> Result<(), Status> {
        let taken = (self.take)(question);
        if taken.number <= self.taken {
            let why = format!("number {} came after number {}; count upwards from 1", taken.number, self.taken);
            return Err(invalid(Invalid::Other { why }));
        }
        self.taken = taken.number;
        self.bytes += taken.bytes;
        self.in_flight.push(taken.answer);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
