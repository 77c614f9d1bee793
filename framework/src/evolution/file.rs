//! Files that a test writes once and compares from then on.

use std::{env, fs, io, path::Path};

/// Set to `update`, tests write the files that they otherwise compare.
const VARIABLE: &str = "ANNALIST_LOCK";

/// What updates all files of a package.
pub(super) const UPDATE: &str = "ANNALIST_LOCK=update cargo test";

/// What a test does with its files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// It compares them.
    Compare,
    /// It writes them.
    Update,
}

impl Mode {
    /// As the environment says.
    pub(crate) fn from_env() -> Self {
        if env::var_os(VARIABLE).is_some_and(|value| value == "update") { Self::Update } else { Self::Compare }
    }
}

/// The text of a file; `None` if there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>, String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
    }
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), String> {
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, text));
    written.map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

/// Compares a file with the text that it is to have, or writes it.
///
/// # Errors
/// Where they differ, and what to do about it.
pub(crate) fn check_text(path: &Path, expected: &str, mode: Mode) -> Result<(), String> {
    let found = read(path)?;
    if found.as_deref() == Some(expected) {
        return Ok(());
    }
    if mode == Mode::Update {
        return write(path, expected);
    }
    let what = match &found {
        None => "is not there".to_owned(),
        Some(found) => format!("is out of date: {}", first_difference(found, expected)),
    };
    Err(format!("{} {what}\nWrite it with `{UPDATE}`, and commit it.", path.display()))
}

/// In a test: compares a document that is written from code, at `path`, with what the code says now; with
/// `ANNALIST_LOCK=update` in the environment it writes it.
///
/// # Errors
/// What is different, or why it cannot be read or written.
pub fn check_document(path: &Path, expected: &str) -> Result<(), String> {
    check_text(path, expected, Mode::from_env())
}

fn first_difference(found: &str, expected: &str) -> String {
    let (mut found, mut expected) = (found.lines(), expected.lines());
    let mut line = 1;
    loop {
        match (found.next(), expected.next()) {
            (Some(found), Some(expected)) if found == expected => line += 1,
            (None, None) => return "its lines end otherwise".to_owned(),
            (found, expected) => {
                let said = |line: Option<&str>| line.map_or("nothing".to_owned(), |line| format!("`{line}`"));
                return format!("line {line} is {}, and should be {}", said(found), said(expected));
            }
        }
    }
}
