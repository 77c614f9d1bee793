//! Histories of many clients at once, judged afterwards: is there an order in which the calls, one at a time, would have
//! been answered exactly so?
//!
//! `script` draws what the clients do, `client` does it and notes each `call` with its answer, `checker` proves that the
//! answers agree with each other and with the log, and `census` that there was something to prove. The rules are those of the
//! [model](crate::model): its oracle says what each answer must be at a place in the log.
//!
//! The scripts come again with their seed; the order in which the threads run does not. A failure therefore prints the
//! whole history.

use std::sync::{Arc, atomic::AtomicU64};

use annalist_core::{Position, Read};
use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::TestRunner,
};
use tokio::sync::Barrier;

use crate::{
    conformance::{Reopening, Subject},
    model::{
        everything,
        request::{Answer, Request},
    },
    runs::Runs,
};

mod call;
mod census;
mod checker;
mod client;
mod script;

use call::History;
use census::Census;
use client::Client;
use script::{Script, scripts};

/// What `ANNALIST_CASES` is if nothing is said.
const CASES: u32 = 256;
/// A history of many clients takes as long as so many of one.
const CASES_PER_HISTORY: u32 = 8;
/// How many histories must have every kind of call among them.
const HISTORIES_VARIED: u32 = 16;
/// More than the machine has to spare, so that clients are interrupted anywhere.
const THREADS: usize = 4;

/// Lets clients loose on fresh subjects, and judges what they were answered.
///
/// # Panics
/// When a history cannot have happened in a store that follows the rules: with what speaks against it, and all of it.
pub fn check<S: Subject>(fresh: impl Fn() -> S) {
    let runs = Runs::of(CASES);
    let mut runner = TestRunner::new(runs.config());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build().expect("a runtime");
    let (mut census, histories) = (Census::default(), runs.cases.div_ceil(CASES_PER_HISTORY));
    for number in 1..=histories {
        let scripts = scripts().new_tree(&mut runner).expect("scripts can be drawn").current();
        let history = runtime.block_on(execute(&mut fresh(), scripts));
        if let Err(objection) = checker::prove(&history) {
            panic!("{objection}\n\nin the history\n{history}\n\nhistory {number} of {runs}");
        }
        census.count(&history);
    }
    if histories >= HISTORIES_VARIED {
        census.assert_varied();
    }
}

/// Runs the scripts side by side, and then asks for everything there is.
async fn execute(subject: &mut dyn Subject, scripts: Vec<Script>) -> History {
    let clock = Arc::new(AtomicU64::new(0));
    let origin = subject.store().head().await.expect("the head is known");
    let (count, start) = (scripts.len(), Arc::new(Barrier::new(scripts.len())));
    let tasks: Vec<_> = (0..)
        .zip(scripts)
        .map(|(number, script)| {
            let mut client = Client::new(number, subject.store(), origin, Arc::clone(&clock));
            let start = Arc::clone(&start);
            tokio::spawn(async move {
                start.wait().await;
                client.perform(script).await;
                client.into_calls()
            })
        })
        .collect();
    let mut calls = Vec::new();
    for task in tasks {
        calls.extend(task.await.expect("the client ends"));
    }
    let whole_log = || Request::Read(Read::all(Position::ZERO));
    let mut auditor = Client::new(count as u64, subject.store(), origin, clock);
    auditor.ask(whole_log()).await;
    if let Some(reopens) = subject.reopens() {
        reopens.reopen(Reopening::AsItIs).await;
    }
    auditor.turn_to(subject.store());
    for request in everything() {
        auditor.ask(request).await;
    }
    let log = match auditor.ask(whole_log()).await {
        Answer::Read(Ok((log, _))) => log,
        other => panic!("the log cannot be read: {other:?}"),
    };
    calls.extend(auditor.into_calls());
    History { origin, calls, log }
}
