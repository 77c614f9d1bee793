//! Many questions on one call.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use annalist_core::Invalid;
use futures_util::{
    Stream, StreamExt as _,
    stream::{FuturesUnordered, try_unfold},
};
use tokio::time::sleep;
use tonic::Status;

use super::{invalid, streams::Answers};
use crate::{
    limits::{PIPELINE_AGE_MAX, PIPELINE_BYTES_MAX, PIPELINE_QUESTIONS_MAX},
    stopping::Stopping,
};

type Waiting<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A question that is being answered.
pub(super) struct Taken<A> {
    /// Its number.
    pub(super) number: u64,
    /// What it holds in memory meanwhile, roughly.
    pub(super) bytes: usize,
    /// Its answer.
    pub(super) answer: Waiting<A>,
}

impl<A> Future for Taken<A> {
    /// The answer, and the bytes that are free now.
    type Output = (A, usize);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<(A, usize)> {
        let bytes = self.bytes;
        self.answer.as_mut().poll(context).map(|answer| (answer, bytes))
    }
}

/// Takes questions as they come and answers each when it is done. When it closes it says the number of the last one that it
/// has taken, and answers still what it has taken. While memory is scarce it takes one at a time.
pub(super) fn answering<R, Q, A>(
    questions: R,
    take: impl Fn(Q) -> Taken<A> + Send + 'static,
    closing: fn(u64) -> A,
    memory_is_scarce: impl Fn() -> bool + Send + 'static,
    stopping: Stopping,
) -> Answers<A>
where
    R: Stream<Item = Result<Q, Status>> + Send + Unpin + 'static,
    Q: Send + 'static,
    A: Send + 'static,
{
    let closes = Box::pin(async move {
        tokio::select! {
            () = stopping.stopped() => {}
            () = sleep(PIPELINE_AGE_MAX) => {}
        }
    });
    let pipeline = Pipeline {
        questions: Some(questions),
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

struct Pipeline<R, T, S, A> {
    /// `None` once no more are taken.
    questions: Option<R>,
    take: T,
    closing: fn(u64) -> A,
    memory_is_scarce: S,
    /// What is being answered.
    in_flight: FuturesUnordered<Taken<A>>,
    /// What all of them hold.
    bytes: usize,
    /// The last one that was taken.
    taken: u64,
    closes: Waiting<()>,
    /// Why it could not go on.
    failed: Option<Status>,
}

impl<R, T, Q, S, A> Pipeline<R, T, S, A>
where
    R: Stream<Item = Result<Q, Status>> + Unpin,
    T: Fn(Q) -> Taken<A>,
    S: Fn() -> bool,
    A: Send + 'static,
{
    async fn next(&mut self) -> Result<Option<A>, Status> {
        loop {
            let is_full = self.in_flight.len() >= PIPELINE_QUESTIONS_MAX
                || self.bytes >= PIPELINE_BYTES_MAX
                || (!self.in_flight.is_empty() && (self.memory_is_scarce)());
            let Some(questions) = &mut self.questions else {
                let answer = self.in_flight.next().await.map(|(answer, _)| answer);
                return if answer.is_none() { self.failed.take().map_or(Ok(None), Err) } else { Ok(answer) };
            };
            tokio::select! {
                biased;
                Some((answer, bytes)) = self.in_flight.next() => {
                    self.bytes -= bytes;
                    return Ok(Some(answer));
                }
                () = &mut self.closes => return Ok(Some(self.close())),
                question = questions.next(), if !is_full => {
                    let Some(question) = question else {
                        self.questions = None;
                        continue;
                    };
                    if let Err(status) = question.and_then(|question| self.take(question)) {
                        // What it has taken is answered all the same.
                        self.failed = Some(status);
                        return Ok(Some(self.close()));
                    }
                }
            }
        }
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
        self.in_flight.push(taken);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
