//! What was refused and what was administered: who, what, when, from where, and what came of it.

mod imports;

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use annalist_core::Timestamp;
use serde::Serialize;

use crate::{clock, limits::AUDIT_LINES_PER_SECOND};

pub(crate) use imports::ImportCounts;
use imports::{Import, Imports};

/// A line of it. No keys, no events, no queries.
#[derive(Serialize)]
pub(crate) struct Entry<'a> {
    /// Whose key or certificate it was; nobody's, if it is not known.
    pub(crate) who: Option<&'a str>,
    /// The method and the path.
    pub(crate) what: &'a str,
    /// Where it came from.
    pub(crate) from: &'a str,
    /// `done`, `failed`, `unknown` (nobody knows who asks), `denied`, `hung-up` (nobody waited for the answer: it may be done).
    pub(crate) result: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<&'a str>,
}

#[derive(Serialize)]
struct Line<'a> {
    at: String,
    #[serde(flatten)]
    entry: Entry<'a>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pieces: Option<ImportCounts>,
    /// How many lines before it were not written, since there were too many.
    #[serde(skip_serializing_if = "is_zero")]
    left_out: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Where it is written to: a file, one JSON object for each line, or the log.
pub(crate) struct Audit {
    path: Option<PathBuf>,
    state: Mutex<State>,
}

/// What is not told yet of imports is told with the end of the server.
impl Drop for Audit {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let State { file, pace, imports } = state;
        for mut import in imports.all() {
            tell_import(file, pace, &mut import, clock::now());
        }
    }
}

#[derive(Default)]
struct State {
    file: Option<File>,
    pace: Pace,
    imports: Imports,
}

/// How many lines there were in this second.
#[derive(Default)]
struct Pace {
    second: u64,
    lines: u32,
    left_out: u64,
}

impl Pace {
    /// How many were left out before, if there may be another.
    fn take(&mut self, second: u64) -> Option<u64> {
        if second != self.second {
            (self.second, self.lines) = (second, 0);
        }
        if self.lines >= AUDIT_LINES_PER_SECOND {
            self.left_out += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

impl Audit {
    /// To a file, which is added to and is for its owner's eyes, or to the log.
    pub(crate) fn to(path: Option<&Path>) -> io::Result<Self> {
        let file = path.map(open).transpose()?;
        Ok(Self { path: path.map(Path::to_owned), state: Mutex::new(State { file, ..State::default() }) })
    }

    /// Opens the file again: somebody may have put it aside.
    pub(crate) fn reopen(&self) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let file = open(path)?;
        self.state.lock().unwrap_or_else(PoisonError::into_inner).file = Some(file);
        Ok(())
    }

    /// Writes a line, unless there were too many in this second: who is refused again and again must not fill the disk.
    pub(crate) fn tell(&self, entry: Entry<'_>) {
        self.tell_at(entry, clock::now());
    }

    /// A piece of an import was recorded. The first is told at once. Those behind it, which may be thousands, are told together: once in a
    /// while, when no more come, before something else of the same principal, and when the server ends.
    pub(crate) fn tell_piece(&self, entry: Entry<'_>, from: SocketAddr, piece: ImportCounts) {
        self.tell_piece_at(entry, from, piece, clock::now());
    }

    /// Tells of imports that are over. To be called every now and then.
    pub(crate) fn settle(&self) {
        self.settle_at(clock::now());
    }

    fn tell_at(&self, entry: Entry<'_>, now: SystemTime) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { file, pace, imports } = &mut *state;
        for import in imports.of(entry.who) {
            tell_import(file, pace, import, now);
        }
        write(file, pace, entry, None, now);
    }

    fn tell_piece_at(&self, entry: Entry<'_>, from: SocketAddr, piece: ImportCounts, now: SystemTime) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { file, pace, imports } = &mut *state;
        let pieces = imports.add((entry.who.unwrap_or_default(), from.ip()), entry.what, entry.from, piece, now);
        if pieces.is_some() {
            write(file, pace, entry, pieces, now);
        }
    }

    fn settle_at(&self, now: SystemTime) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { file, pace, imports } = &mut *state;
        for mut import in imports.over(now) {
            tell_import(file, pace, &mut import, now);
        }
    }
}

fn tell_import(file: &mut Option<File>, pace: &mut Pace, import: &mut Import, now: SystemTime) {
    let Some(pieces) = import.take(now) else { return };
    let entry = Entry { who: Some(&import.who), what: &import.what, from: &import.from, result: "done", why: None };
    write(file, pace, entry, Some(pieces), now);
}

fn write(file: &mut Option<File>, pace: &mut Pace, entry: Entry<'_>, pieces: Option<ImportCounts>, now: SystemTime) {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let at = Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)).to_string();
    let Some(left_out) = pace.take(since.as_secs()) else { return };
    let Some(file) = file else {
        let Entry { who, what, from, result, why } = entry;
        let ImportCounts { pieces, recorded, present } = pieces.unwrap_or_default();
        tracing::info!(
            target: "annalist::audit", who, what, from, result, why, pieces, recorded, present, left_out, "audit"
        );
        return;
    };
    let Ok(mut line) = serde_json::to_vec(&Line { at, entry, pieces, left_out }) else { return };
    line.push(b'\n');
    // In one piece, so that lines of several writers do not mix.
    if let Err(error) = file.write_all(&line) {
        tracing::error!(%error, "the audit log cannot be written");
    }
}

fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests;
