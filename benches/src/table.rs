//! Tables for people, in Markdown, each row printed as soon as it is known.

/// A table that is being printed.
#[derive(Debug)]
pub struct Table(Vec<usize>);

impl Table {
    /// Prints the head. Columns are as wide as their heads, the first at least 24 characters.
    #[must_use]
    pub fn new(heads: &[&str]) -> Self {
        let table =
            Self(heads.iter().enumerate().map(|(i, head)| head.len().max(if i == 0 { 24 } else { 10 })).collect());
        table.row(heads);
        let line = |width: &usize| "-".repeat(*width - 1);
        let lines: Vec<String> =
            table.0.iter().enumerate().map(|(i, w)| line(w) + if i == 0 { "-" } else { ":" }).collect();
        table.row(&lines);
        table
    }

    /// Prints a row.
    #[expect(clippy::print_stdout, reason = "a bench talks to a person")]
    pub fn row(&self, cells: &[impl AsRef<str>]) {
        let cells = cells.iter().zip(&self.0).enumerate().map(|(index, (cell, width))| {
            let cell = cell.as_ref();
            if index == 0 { format!(" {cell:<width$} ") } else { format!(" {cell:>width$} ") }
        });
        println!("|{}|", cells.collect::<Vec<_>>().join("|"));
    }
}

/// A figure with about four digits: `1,234,567`, `123.4`, `1.234`.
#[must_use]
pub fn count(value: f64) -> String {
    if value < 10.0 {
        return format!("{value:.3}");
    }
    if value < 1000.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Microseconds as milliseconds: `0.215`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub fn millis(micros: u64) -> String {
    count(micros as f64 / 1000.0)
}

#[cfg(test)]
mod tests;
