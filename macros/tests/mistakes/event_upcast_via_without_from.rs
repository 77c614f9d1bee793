//! A step of a chain that is not written, shown at the name of what it leads to.

use annalist::Event;

#[derive(serde::Deserialize)]
struct DepositedV1 {
    dollars: u64,
}

#[derive(serde::Deserialize)]
struct DepositedV2 {
    cents: u64,
}

impl From<DepositedV2> for AccountEvent {
    fn from(old: DepositedV2) -> Self {
        Self::Deposited { cents: old.cents }
    }
}

#[derive(Event, Clone)]
#[event(category = "account")]
enum AccountEvent {
    #[event(name = "money-deposited", version = 3,
        upcast(version = 1, from = DepositedV1, via = DepositedV2), upcast(from = DepositedV2))]
    Deposited { cents: u64 },
}

fn main() {}
