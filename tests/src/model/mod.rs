//! Random histories, executed against a store and against an oracle that is as simple as the rules: every answer must be
//! the same.
//!
//! `operation` draws what to do, `oracle` says what the answer must be, `system` asks the store.

use std::collections::BTreeMap;

use annalist_core::{Position, Read, StreamId, Timestamp, Version};
use proptest::{
    prelude::ProptestConfig,
    test_runner::{RngSeed, TestCaseError, TestError, TestRunner},
};

use crate::conformance::{Reopening, Subject};

mod operation;
mod oracle;
mod system;

use operation::{KEYS, Operation, STREAMS, histories};
use oracle::{Oracle, Request};

/// Histories drawn per test; `ANNALIST_CASES` asks for another number.
const CASES: u32 = 256;
/// How long to look for a smaller history that fails too.
const SHRINKING_MILLIS_MAX: u32 = 60_000;

/// Executes random histories, each on a fresh subject.
///
/// # Panics
/// When an answer of the subject is not what the rules say: with the smallest history found, and how to repeat the run.
pub fn check<S: Subject>(fresh: impl Fn() -> S) {
    let cases = environment("ANNALIST_CASES").unwrap_or(CASES);
    let seed = environment("ANNALIST_SEED").unwrap_or(u64::from(std::process::id()) * 7919 + 1);
    let config = ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_time: SHRINKING_MILLIS_MAX,
        ..ProptestConfig::default()
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let outcome = TestRunner::new(config)
        .run(&histories(), |history| runtime.block_on(execute(&mut fresh(), history)).map_err(TestCaseError::fail));
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(difference, history)) => {
            let steps: Vec<String> = history.iter().map(|operation| format!("  {operation:?}")).collect();
            panic!(
                "{difference}\nin the history\n{}\nrepeat with ANNALIST_SEED={seed} ANNALIST_CASES={cases}",
                steps.join("\n")
            );
        }
        Err(error) => panic!("{error}"),
    }
}

fn environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

async fn execute(subject: &mut dyn Subject, history: Vec<Operation>) -> Result<(), String> {
    let mut run = Run::new(subject).await?;
    for (step, operation) in history.into_iter().enumerate() {
        let request = operation.resolve(&run.oracle, step as u64);
        run.ask(request).await.map_err(|difference| format!("step {}: {difference}", step + 1))?;
    }
    run.audit().await.map_err(|difference| format!("at the end: {difference}"))?;
    run.ask(Request::Reopen(Reopening::WithoutIndex)).await?;
    run.audit().await.map_err(|difference| format!("at the end, with a new index: {difference}"))
}

/// A history in progress.
struct Run<'a> {
    subject: &'a mut dyn Subject,
    oracle: Oracle,
    /// When each event was recorded, once it was seen.
    times: BTreeMap<Position, Timestamp>,
}

impl<'a> Run<'a> {
    async fn new(subject: &'a mut dyn Subject) -> Result<Self, String> {
        let origin = subject.store().head().await.map_err(|error| error.to_string())?;
        Ok(Self { subject, oracle: Oracle::new(origin), times: BTreeMap::new() })
    }

    /// Asks both, and compares.
    async fn ask(&mut self, request: Request) -> Result<(), String> {
        let expected = self.oracle.answer(&request);
        let (answer, recorded) = system::answer(self.subject, &request).await;
        if answer != expected {
            return Err(format!("{request:?}\n  was answered {answer:?}\n  instead of   {expected:?}"));
        }
        for event in recorded {
            let before = *self.times.entry(event.position).or_insert(event.time);
            if before != event.time {
                return Err(format!("{event:?} was recorded at {before} when it was read before"));
            }
        }
        Ok(())
    }

    /// Asks for everything there is.
    async fn audit(&mut self) -> Result<(), String> {
        self.ask(Request::Head).await?;
        self.ask(Request::Read(Read::all(Position::ZERO))).await?;
        self.ask(Request::Read(Read::all_backward(Position::MAX))).await?;
        let streams = (0..STREAMS).map(operation::stream).chain([StreamId::system()]);
        for stream in streams {
            self.ask(Request::Read(Read::stream(stream.clone(), Version::ZERO))).await?;
            self.ask(Request::Read(Read::stream_backward(stream, Version::MAX))).await?;
        }
        for key in 0..KEYS {
            self.ask(Request::Outcome(operation::key(key))).await?;
        }
        if self.times.values().is_sorted() { Ok(()) } else { Err(format!("time goes backwards: {:?}", self.times)) }
    }
}
