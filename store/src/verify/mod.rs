//! Verifying a store that is open: every page and record of the log, and the index against it.
//!
//! The log is walked in windows. Of each the places of its events are derived again, as the index has them, and compared
//! with what queries are answered. Memory is bounded by a window: that the versions of a stream go on where they ended before
//! it is asked of the index, which agreed with the log up to there or is found at fault.

#[cfg(test)]
mod tests;
mod window;

use std::{ops::ControlFlow, sync::Arc};

use annalist_core::{Finding, Part, Position, Progress, StoreError, Verified};

use crate::{
    limits,
    rocks::{IndexCounts, ReadError},
    shared::{Shared, blocking},
};

use window::Window;

/// Verifies what is recorded behind `after`, of a store that `open` gives as long as it is.
pub(crate) async fn run(
    open: impl Fn() -> Result<Arc<Shared>, StoreError> + Send,
    after: Position,
    mut progress: impl FnMut(Progress) -> ControlFlow<()> + Send,
) -> Result<Verified, StoreError> {
    let shared = open()?;
    let mut verifier = blocking(move || Verifier::begin(&shared, after)).await?;
    while progress(verifier.progress()).is_continue() {
        // Asked for anew each time, so that the store can close meanwhile.
        let shared = open()?;
        let more;
        (verifier, more) = blocking(move || {
            let more = verifier.step(&shared)?;
            Ok((verifier, more))
        })
        .await?;
        if !more {
            let _ = progress(verifier.progress());
            break;
        }
    }
    Ok(verifier.finish())
}

/// A verification in progress. Every call blocks for one window.
pub(crate) struct Verifier {
    report: Verified,
    /// What the index holds up to its mark; `None` when that cannot be compared.
    counts: Option<IndexCounts>,
    /// What the log holds up to the same mark.
    counted: IndexCounts,
    /// The checksum of the last page, if that page was sound.
    checksum: Option<u32>,
    /// What was read last is damaged, and where it ends is not known.
    behind_damage: bool,
}

impl Verifier {
    /// Reads every row of the index, and begins behind `after`.
    pub(crate) fn begin(shared: &Shared, after: Position) -> Result<Self, ReadError> {
        let mut report =
            Verified { after, through: after, head: Position::ZERO, pages: 0, findings: Vec::new(), findings_count: 0 };
        let counts = match shared.index.count() {
            Ok(counts) => Some(counts),
            Err(ReadError::Damaged(damage)) => {
                add(&mut report, Part::Index, damage.position, damage.detail);
                None
            }
            Err(ReadError::Engine(error)) if error.kind() == rocksdb::ErrorKind::Corruption => {
                add(&mut report, Part::Index, Position::ZERO, error.into_string());
                None
            }
            Err(error) => return Err(error),
        };
        let mark = counts.as_ref().map_or(Position::ZERO, |counts| counts.mark);
        // Of a store that is followed the index may be known further than the log, for a moment.
        shared.wait_until(|shared| shared.watermark() >= mark || shared.ended().is_some());
        // Behind the count: the index covers no more than this.
        report.head = shared.watermark();
        // A verification that goes on has not counted what lies before it.
        let counts = counts.filter(|_| after == Position::ZERO);
        let checksum = (after == Position::ZERO).then_some(0);
        Ok(Self { report, counts, counted: IndexCounts::up_to(mark), checksum, behind_damage: false })
    }

    pub(crate) const fn progress(&self) -> Progress {
        Progress { done: self.report.through.get(), total: self.report.head.get() }
    }

    /// Verifies the next window. Returns whether there is more.
    pub(crate) fn step(&mut self, shared: &Shared) -> Result<bool, ReadError> {
        if self.report.through < self.report.head {
            let mut window = Window::new(self);
            window.read(shared);
            let places = window.finish();
            if let Some(places) = places {
                self.compare(shared, &places)?;
            }
        }
        if self.report.through < self.report.head {
            return Ok(true);
        }
        self.compare_counts();
        Ok(false)
    }

    /// Stops here.
    pub(crate) fn finish(self) -> Verified {
        self.report
    }

    fn log(&mut self, position: Position, detail: impl Into<String>) {
        add(&mut self.report, Part::Log, position, detail);
    }

    fn index(&mut self, position: Position, detail: impl Into<String>) {
        add(&mut self.report, Part::Index, position, detail);
    }

    fn compare_counts(&mut self) {
        let Some(counts) = self.counts.take().filter(|_| self.report.is_sound()) else { return };
        if counts != self.counted {
            let detail =
                format!("the index has other rows than the log says: {counts:?} instead of {:?}", self.counted);
            self.index(Position::ZERO, detail);
        }
    }
}

fn add(report: &mut Verified, part: Part, position: Position, detail: impl Into<String>) {
    report.findings_count += 1;
    if report.findings.len() < limits::FINDINGS_MAX {
        report.findings.push(Finding { part, position, detail: detail.into() });
    }
}
