//! What a person wants to see at the end, and the same for a program.

use std::{collections::BTreeMap, fs, io, path::Path, time::Duration};

use comfy_table::{
    CellAlignment, ContentArrangement, Table, modifiers::UTF8_ROUND_CORNERS, presets::UTF8_FULL_CONDENSED,
};
use serde::{Deserialize, Serialize};

use crate::{
    domain::{Cents, Customer},
    figures::Figures,
    read_models::OpenOrder,
};

/// How wide the bar of the best month is, in characters.
const BAR_CHARS: u64 = 40;

/// The file `summary.json`: the read models' figures and what the run did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Orders placed.
    pub orders: u64,
    /// Customers who ordered.
    pub customers: u64,
    /// CDs ordered.
    pub cds: u64,
    /// What was paid, in cents.
    pub revenue_cents: u64,
    /// What was paid in each month, in cents.
    pub revenue_by_month: BTreeMap<String, u64>,
    /// The five customers who paid most.
    pub top_customers: Vec<TopCustomer>,
    /// Events that this run appended.
    pub events_appended: u64,
    /// Events in the log.
    pub events_total: u64,
    /// Messages stored in the broker's stream, by all runs, as the last run that had a broker saw it.
    pub published: u64,
    /// How long the run took.
    pub seconds: f64,
}

/// A customer and what they paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopCustomer {
    /// Who.
    pub customer: Customer,
    /// How much, in cents.
    pub cents: u64,
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Run {
    /// Events that it appended.
    pub events_appended: u64,
    /// Events in the log at its end.
    pub events_total: u64,
    /// Messages in the broker's stream at its end.
    pub published: u64,
    /// How long it took.
    pub seconds: f64,
}

impl Summary {
    /// Puts figures and run together.
    #[must_use]
    pub fn new(figures: &Figures, run: Run) -> Self {
        let months = figures.revenue_by_month.iter().map(|(month, cents)| (month.to_string(), cents.0));
        let top = figures.top_customers.iter().take(5);
        Self {
            orders: figures.orders,
            customers: figures.customers,
            cds: figures.cds,
            revenue_cents: figures.revenue.0,
            revenue_by_month: months.collect(),
            top_customers: top.map(|&(customer, cents, _)| TopCustomer { customer, cents: cents.0 }).collect(),
            events_appended: run.events_appended,
            events_total: run.events_total,
            published: run.published,
            seconds: run.seconds,
        }
    }

    /// What the file says of the messages in the broker's stream; 0 if there is no such file.
    #[must_use]
    pub fn last_published(file: &Path) -> u64 {
        let last = fs::read(file).ok().and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        last.map_or(0, |last| last.published)
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        let unfinished = file.with_extension("json.new");
        fs::write(&unfinished, serde_json::to_string_pretty(self)? + "\n")?;
        fs::rename(unfinished, file)
    }
}

/// The tables that a person reads.
#[must_use]
pub fn tables(figures: &Figures) -> String {
    let mut months = table(["month", "revenue", ""]);
    let best = figures.revenue_by_month.iter().map(|(_, cents)| cents.0).max().unwrap_or(0).max(1);
    for (month, cents) in &figures.revenue_by_month {
        let bar = usize::try_from(cents.0.saturating_mul(BAR_CHARS).div_ceil(best)).unwrap_or(0);
        months.add_row([month.to_string(), dollars(*cents), "█".repeat(bar)]);
    }
    let mut top = table(["top customers", "paid", "CDs"]);
    for &(customer, cents, cds) in &figures.top_customers {
        top.add_row([customer.to_string(), dollars(cents), grouped(cds)]);
    }
    let mut totals = table(["orders", "customers", "CDs", "revenue", "open orders"]);
    let counts = [figures.orders, figures.customers, figures.cds].map(grouped);
    let [orders, customers, cds] = counts;
    totals.add_row([orders, customers, cds, dollars(figures.revenue), grouped(figures.open_orders)]);
    let mut open = table(["open order", "customer", "dollars", "waits for"]);
    for &(order, OpenOrder { customer, total, paid }) in &figures.open {
        let waits_for = if paid { "shipment" } else { "payment" };
        open.add_row([order.to_string(), customer.to_string(), dollars(total), waits_for.to_owned()]);
    }
    let tables = [months, top, open, totals].into_iter().filter(|table| table.row_count() > 0);
    tables.map(|table| table.to_string()).collect::<Vec<_>>().join("\n\n")
}

/// A number with its thousands apart: `69,659`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate, as a whole number with its thousands apart.
#[must_use]
pub fn per_second(count: u64, time: Duration) -> String {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    grouped(count.saturating_mul(1000) / millis)
}

/// An amount with its thousands apart: `2,500,315.63`.
#[must_use]
pub fn dollars(cents: Cents) -> String {
    format!("{}.{:02}", grouped(cents.0 / 100), cents.0 % 100)
}

/// A table whose columns are numbers, but for the first and those without a heading.
pub(crate) fn table<const N: usize>(heading: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).apply_modifier(UTF8_ROUND_CORNERS);
    table.set_content_arrangement(ContentArrangement::Disabled).set_header(heading);
    for (column, heading) in table.column_iter_mut().zip(heading).skip(1) {
        column.set_cell_alignment(if heading.is_empty() { CellAlignment::Left } else { CellAlignment::Right });
    }
    table
}
