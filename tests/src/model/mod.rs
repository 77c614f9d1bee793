//! Random histories, executed against a store and against an oracle that is as simple as the rules: every answer must be
//! the same.
//!
//! `names` are what everything is called, `parts` and `operation` draw what to do, `request` is what comes of it, `oracle`
//! says what the answer must be, `system` asks the store. [`history`](crate::history) uses the same when many ask at once.

use annalist_core::{Position, Read, Version};
use proptest::{
    prelude::ProptestConfig,
    test_runner::{TestCaseError, TestError, TestRunner},
};

use crate::{
    conformance::{Reopening, Subject},
    runs::Runs,
};

pub(crate) mod fact;
pub(crate) mod known;
pub(crate) mod names;
pub(crate) mod operation;
pub(crate) mod oracle;
pub(crate) mod parts;
pub(crate) mod request;
pub(crate) mod system;

use operation::{Operation, Question, histories};
use oracle::Oracle;
use request::Request;

/// Histories drawn per test; `ANNALIST_CASES` asks for another number.
const CASES: u32 = 256;
/// How long to look for a smaller history that fails too.
const SHRINKING_MILLIS_MAX: u32 = 60_000;

/// Executes random histories, each on a fresh subject.
///
/// # Panics
/// When an answer of the subject is not what the rules say: with the smallest history found, and how to repeat the run.
pub fn check<S: Subject>(fresh: impl Fn() -> S) {
    let runs = Runs::of(CASES);
    let config = ProptestConfig { max_shrink_time: SHRINKING_MILLIS_MAX, ..runs.config() };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let outcome = TestRunner::new(config)
        .run(&histories(), |history| runtime.block_on(execute(&mut fresh(), history)).map_err(TestCaseError::fail));
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(difference, history)) => {
            let steps: Vec<String> = history.iter().map(|operation| format!("  {operation:?}")).collect();
            panic!("{difference}\nin the history\n{}\nrepeat with {runs}", steps.join("\n"));
        }
        Err(error) => panic!("{error}"),
    }
}

async fn execute(subject: &mut dyn Subject, history: Vec<Operation>) -> Result<(), String> {
    let mut run = Run::new(subject).await?;
    for (step, operation) in history.into_iter().enumerate() {
        run.take(operation, step as u64).await.map_err(|difference| format!("step {}: {difference}", step + 1))?;
    }
    run.audit().await.map_err(|difference| format!("at the end: {difference}"))?;
    run.reopen(Reopening::WithoutIndex).await;
    run.audit().await.map_err(|difference| format!("at the end, with a new index: {difference}"))
}

/// Everything there is to ask for of a log that is at rest, in several ways.
pub(crate) fn everything() -> Vec<Request> {
    let log = [Read::all(Position::ZERO), Read::all_backward(Position::MAX)];
    let streams = names::streams()
        .flat_map(|stream| [Read::stream(stream.clone(), Version::ZERO), Read::stream_backward(stream, Version::MAX)]);
    let queries = names::queries_by_name()
        .into_iter()
        .flat_map(|query| [Read::query(query.clone(), Position::ZERO), Read::query_backward(query, Position::MAX)]);
    let reads = log.into_iter().chain(streams).chain(queries).map(Request::Read);
    [Request::Head, Request::Statistics].into_iter().chain(reads).chain(names::keys().map(Request::Outcome)).collect()
}

/// A history in progress.
struct Run<'a> {
    subject: &'a mut dyn Subject,
    oracle: Oracle,
}

impl<'a> Run<'a> {
    async fn new(subject: &'a mut dyn Subject) -> Result<Self, String> {
        let origin = subject.store().head().await.map_err(|error| error.to_string())?;
        Ok(Self { subject, oracle: Oracle::new(origin) })
    }

    async fn take(&mut self, operation: Operation, step: u64) -> Result<(), String> {
        match operation {
            Operation::Ask(question) => {
                if let Question::Before { .. } = question {
                    // What the oracle knows of times is what was read.
                    self.ask(&Request::Read(Read::all(Position::ZERO))).await?;
                }
                let request = question.resolve(&self.oracle, step);
                self.ask(&request).await
            }
            Operation::Reopen(how) => {
                self.reopen(how).await;
                Ok(())
            }
        }
    }

    /// Asks both, and compares.
    async fn ask(&mut self, request: &Request) -> Result<(), String> {
        let expected = self.oracle.answer(request);
        let (answer, recorded) = system::ask(&self.subject.store(), request).await;
        if answer != expected {
            return Err(format!("{request:?}\n  was answered {answer:?}\n  instead of   {expected:?}"));
        }
        self.oracle.note(request, &answer);
        recorded.iter().try_for_each(|event| self.oracle.note_time(event))
    }

    /// Opens the store again, if it is one that can be.
    async fn reopen(&mut self, how: Reopening) {
        if let Some(reopens) = self.subject.reopens() {
            reopens.reopen(how).await;
        }
    }

    /// Asks for everything there is.
    async fn audit(&mut self) -> Result<(), String> {
        for request in everything() {
            self.ask(&request).await?;
        }
        Ok(())
    }
}
