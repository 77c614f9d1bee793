//! The words of the domain: identifiers, money, days and months.

use std::{fmt, str::FromStr};

pub use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// A text that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {what}")]
pub struct NotA {
    what: &'static str,
    given: String,
}

impl NotA {
    /// The complaint that `given` is not `what`, for example "a number of CDs". Only its beginning is kept.
    #[must_use]
    pub fn new(what: &'static str, given: &str) -> Self {
        Self { what, given: given.chars().take(40).collect() }
    }
}

/// The number of an order: the number of its row in the file, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderId(pub u64);

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for OrderId {
    type Err = NotA;
    fn from_str(text: &str) -> Result<Self, NotA> {
        text.parse().map(Self).map_err(|_| NotA::new("an order's number", text))
    }
}

/// A customer: five digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Customer(u32);

impl Customer {
    /// The customer of a number; `None` if it has more than five digits.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        if number < 100_000 { Some(Self(number)) } else { None }
    }

    /// The five digits as a number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Customer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:05}", self.0)
    }
}

impl FromStr for Customer {
    type Err = NotA;
    fn from_str(text: &str) -> Result<Self, NotA> {
        let not = || NotA::new("a customer: five digits", text);
        if text.len() != 5 || !all_digits(text) {
            return Err(not());
        }
        text.parse().map(Self).map_err(|_| not())
    }
}

impl From<Customer> for String {
    fn from(customer: Customer) -> Self {
        customer.to_string()
    }
}

impl TryFrom<String> for Customer {
    type Error = NotA;
    fn try_from(text: String) -> Result<Self, NotA> {
        text.parse()
    }
}

/// An amount of money, exact, in cents of a dollar; written and read as dollars: `11.77`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cents(pub u64);

impl Cents {
    /// The sum. It stays at the greatest amount, some 184 quadrillion dollars.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl FromStr for Cents {
    type Err = NotA;
    /// Reads dollars with exactly two decimals; no rounding, no sign, no floating point.
    fn from_str(text: &str) -> Result<Self, NotA> {
        let cents = || {
            let (dollars, cents) = text.split_once('.')?;
            if cents.len() != 2 || !all_digits(dollars) || !all_digits(cents) {
                return None;
            }
            let dollars: u64 = dollars.parse().ok()?;
            dollars.checked_mul(100)?.checked_add(cents.parse().ok()?)
        };
        cents().map(Self).ok_or_else(|| NotA::new("an amount of dollars such as 11.77", text))
    }
}

/// Reads a day written as `1997-01-31`.
///
/// # Errors
/// [`NotA`] when the text has another form or there is no such day.
pub fn parse_date(text: &str) -> Result<Date, NotA> {
    let not = || NotA::new("a day such as 1997-01-31", text);
    if text.len() != 10 {
        return Err(not());
    }
    Date::strptime("%Y-%m-%d", text).map_err(|_| not())
}

/// A month, written `1997-01`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Month {
    /// The year, from 0.
    pub year: u16,
    /// The month, 1 to 12.
    pub month: u8,
}

impl Month {
    /// The month that a day lies in.
    #[must_use]
    pub fn of(date: Date) -> Self {
        Self { year: date.year().unsigned_abs(), month: date.month().unsigned_abs() }
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
