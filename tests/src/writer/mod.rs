//! A child process that writes, the ways in which it dies, and the audit of what it left.

mod audit;
mod kills;

use std::{
    collections::HashMap,
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

pub use audit::{audit, everything};
pub use kills::Kills;

use crate::faults::{Fault, Plan, Shim};

/// What was acknowledged: the key of each append, and its first and last position.
pub type Acks = HashMap<String, (u64, u64)>;

/// A running `crash_writer` and its lines. It writes until it is killed, or its disk fails.
#[derive(Debug)]
pub struct Writer {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Writer {
    /// Starts it, with more arguments, and waits until it has the store open.
    ///
    /// # Panics
    /// If it does not start, or does not open the store.
    pub fn start(command: &mut Command, dir: &Path, round: &str, more: &[&str]) -> Self {
        let mut child =
            command.arg(dir).arg(round).args(more).stdout(Stdio::piped()).spawn().expect("the writer starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
        let first = lines.next().map(|line| line.expect("its output is text"));
        assert_eq!(first.as_deref(), Some("open"), "the writer opens the store");
        Self { child, lines }
    }

    /// Starts it on a disk whose syncs of a write-ahead log fail as soon as the file that is returned is there. It goes on until
    /// an append has an unknown outcome, and then says what the store still does.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[must_use]
    pub fn start_with_failing_sync(command: &mut Command, temporary: &Path, dir: &Path) -> (Self, PathBuf) {
        let (trigger, journal) = (temporary.join("fail"), temporary.join("journal"));
        fs::create_dir(&journal).expect("a folder can be made");
        let plan = Plan { fault: Fault::Eio, at: 1, on: "sync", matching: ".log", lasting: true, ..Plan::none(1) };
        Shim::compile(temporary).load(command, &plan, dir, &journal, &temporary.join("report"));
        command.env("FAULTS_TRIGGER", &trigger);
        (Self::start(command, dir, "s", &["until-unknown"]), trigger)
    }

    /// Waits until so many more appends are acknowledged.
    ///
    /// # Panics
    /// If it ends before, or says something else.
    pub fn wait(&mut self, appends: u64, acks: &mut Acks) {
        for _ in 0..appends {
            let line = self.lines.next().expect("the writer goes on").expect("its output is text");
            let (key, places) = ack(&line).unwrap_or_else(|| panic!("unexpected: {line}"));
            acks.insert(key, places);
        }
    }

    /// Waits until it has ended. Takes what was acknowledged meanwhile, and returns every other whole line.
    pub fn rest(mut self, acks: &mut Acks) -> Vec<String> {
        let _ = self.child.wait();
        let mut others = Vec::new();
        for line in self.lines.map_while(Result::ok) {
            match ack(&line) {
                Some((key, places)) => _ = acks.insert(key, places),
                None => others.push(line),
            }
        }
        others
    }
}

/// Reads `ack` lines.
fn ack(line: &str) -> Option<(String, (u64, u64))> {
    let mut words = line.strip_prefix("ack ")?.split(' ');
    Some((words.next()?.to_owned(), (words.next()?.parse().ok()?, words.next()?.parse().ok()?)))
}
