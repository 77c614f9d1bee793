//! What a command prints: tables for people, JSON for programs, and how far it is.

use std::{
    error::Error,
    fmt::Write as _,
    io::{self, BufWriter, Stdout, Write as _},
};

use annalist_store::Progress;
use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::failure::Failure;

/// See the module.
pub(crate) struct Output {
    pub(crate) json: bool,
    out: BufWriter<Stdout>,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, out: BufWriter::new(io::stdout()) }
    }

    pub(crate) fn line(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.out, "{line}").map_err(Failure::Output)
    }

    /// One line of JSON.
    pub(crate) fn value(&mut self, value: &Value) -> Result<(), Failure> {
        self.line(&value.to_string())
    }

    /// A table with these heads.
    pub(crate) fn table<const N: usize>(
        &mut self,
        heads: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) -> Result<(), Failure> {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header(heads.map(str::to_uppercase));
        // Names come from anywhere: a control character must not reach the terminal.
        table.add_rows(rows.into_iter().map(|row| row.map(|cell| printable(&cell))));
        self.line(&table.trim_fmt())
    }

    /// Shows what was printed so far.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(Failure::Output)
    }

    /// A bar on the terminal; nothing where the standard error goes elsewhere.
    pub(crate) fn bar(what: &'static str) -> Bar {
        let style = ProgressStyle::with_template("{msg} {bar:30} {percent}% ({human_pos} of {human_len}, {eta} left)");
        let bar = ProgressBar::new(0).with_message(what);
        Bar(if let Ok(style) = style { bar.with_style(style) } else { bar })
    }

    /// Says something beside what was asked for, on the standard error.
    pub(crate) fn remark(text: &str) {
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Says why it failed, on the standard error, with everything behind it.
    pub(crate) fn complain(&self, failure: &Failure) {
        let mut text = failure.to_string();
        let mut cause = failure.source();
        while let Some(error) = cause {
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        let text = if self.json { serde_json::json!({ "error": text }).to_string() } else { format!("error: {text}") };
        // There is nowhere left to say that this cannot be said.
        let _ = writeln!(io::stderr(), "{text}");
    }
}

/// How far it is, on the terminal.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn show(&self, progress: Progress) {
        self.0.set_length(progress.total);
        self.0.set_position(progress.done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// The same text with its control characters written out.
pub(crate) fn printable(text: &str) -> String {
    let escape = |char: char| if char.is_control() { char.escape_default().to_string() } else { char.to_string() };
    text.chars().map(escape).collect()
}
