//! The test of a service's events.

use std::path::PathBuf;

use bytes::Bytes;

use super::{
    compare::{Comparison, compare},
    file::{Mode, UPDATE, read, write},
    golden,
    lock::{Id, Lock},
};
use crate::event::{Declared, EncodeError, EventSet};

/// The lock and the samples of a service's events: `events.lock` and `golden/` in `folder`, usually that of the package.
#[must_use = "nothing is checked until `.check()`"]
pub fn lock(folder: impl Into<PathBuf>) -> EventsLock {
    EventsLock { folder: folder.into(), sets: Vec::new() }
}

/// See [`lock`].
#[derive(Debug)]
#[must_use = "nothing is checked until `.check()`"]
pub struct EventsLock {
    folder: PathBuf,
    sets: Vec<Set>,
}

/// The events of one type.
#[derive(Debug)]
pub(super) struct Set {
    declared: Declared,
    examples: Vec<Result<(&'static str, Bytes), EncodeError>>,
    pub(super) read_and_write: fn(&str, u16, &[u8]) -> Result<Bytes, String>,
}

impl Set {
    pub(super) fn declares(&self, id: &Id) -> bool {
        self.declared.category == id.category && self.declared.types.iter().any(|(name, _)| *name == id.name)
    }

    /// The first example of an event.
    pub(super) fn example(&self, id: &Id) -> Option<&Bytes> {
        let mut examples = self.examples.iter().flatten();
        examples.find(|(name, _)| *name == id.name).map(|(_, payload)| payload)
    }
}

impl EventsLock {
    /// Adds the events of a category, with an example of each: what a sample of a new version is made of. An example
    /// that shows every optional field shows the most.
    pub fn events<E: EventSet>(mut self, examples: impl IntoIterator<Item = E>) -> Self {
        let examples = examples.into_iter().map(|event| Ok((event.event_type().0, event.encode()?))).collect();
        let declared = Declared { category: E::CATEGORY, types: E::TYPES, schema: E::SCHEMA };
        self.sets.push(Set { declared, examples, read_and_write: read_and_write::<E> });
        self
    }

    /// Compares events, lock and samples; with `ANNALIST_LOCK=update` in the environment it writes what is new.
    ///
    /// # Panics
    /// When recorded events would not be readable, or something is not written down yet: the test fails, and says what to
    /// do.
    #[track_caller]
    pub fn check(self) {
        if let Err(wrong) = self.check_in(Mode::from_env()) {
            panic!("{wrong}");
        }
    }

    pub(super) fn check_in(&self, mode: Mode) -> Result<(), String> {
        if let Some(error) = self.sets.iter().flat_map(|set| &set.examples).find_map(|example| example.as_ref().err()) {
            return Err(format!("an example cannot be written: {error}"));
        }
        let path = self.folder.join("events.lock");
        let text = read(&path)?;
        let locked =
            Lock::parse(text.as_deref().unwrap_or_default()).map_err(|error| format!("{}: {error}", path.display()))?;
        let declared: Vec<_> = self.sets.iter().map(|set| set.declared).collect();
        let Comparison { broken, mut changes, merged } = compare(&locked, &Lock::of(&declared));
        if !broken.is_empty() {
            return Err(list("Recorded events would no longer be readable.", &broken));
        }
        let written = merged.to_string();
        if text.as_deref() != Some(&written) {
            match mode {
                Mode::Update => write(&path, &written)?,
                Mode::Compare => {
                    if changes.is_empty() {
                        changes.push("its text is not what is written now".to_owned());
                    }
                    let title = format!(
                        "{} is out of date. Nothing breaks: write it with `{UPDATE}`, and commit it.",
                        path.display()
                    );
                    return Err(list(&title, &changes));
                }
            }
        }
        let wrong = golden::check(&self.folder.join("golden"), &merged, &self.sets, mode);
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(list("The golden samples are not all there, or not all readable.", &wrong))
        }
    }
}

fn read_and_write<E: EventSet>(name: &str, version: u16, payload: &[u8]) -> Result<Bytes, String> {
    let event = E::decode(name, version, payload).map_err(|error| format!("cannot be read: {error}"))?;
    event.encode().map_err(|error| format!("cannot be written again: {error}"))
}

fn list(title: &str, what: &[String]) -> String {
    what.iter().fold(title.to_owned(), |text, what| text + "\n- " + what)
}
