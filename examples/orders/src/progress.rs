//! How far it is: a bar on a terminal, now and then a line elsewhere.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::report::{grouped, per_second};

const LINE_EVERY: Duration = Duration::from_secs(2);

/// One stretch of work, shown on standard error.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    total: u64,
    done: u64,
    done_before: u64,
    begun: Instant,
    last_line: Instant,
    /// `None` when standard error is not a terminal.
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins to show how `total` of `what`, for example rows, are done; some are already.
    #[must_use]
    pub fn begin(what: &'static str, done_before: u64, total: u64) -> Self {
        let now = Instant::now();
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total).with_message(what).with_style(style()).with_position(done_before);
            bar.reset_eta();
            bar
        });
        Self { what, total, done: done_before, done_before, begun: now, last_line: now, bar }
    }

    /// So many are done now.
    pub fn done(&mut self, done: u64) {
        self.done = done;
        match &self.bar {
            Some(bar) => bar.set_position(done),
            None if self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                self.line();
            }
            None => {}
        }
    }

    /// Says something beside it.
    pub fn say(&self, text: &str) {
        let say = || _ = writeln!(io::stderr(), "{text}");
        match &self.bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }

    /// Ends it, as far as it came.
    pub fn end(self) {
        match &self.bar {
            Some(bar) => bar.abandon(),
            None => self.line(),
        }
    }

    fn line(&self) {
        let Self { what, total, done, .. } = self;
        let rate = per_second(done.saturating_sub(self.done_before), self.begun.elapsed());
        self.say(&format!("{} of {} {what}, {rate}/s", grouped(*done), grouped(*total)));
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} {msg}, {per_sec}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
