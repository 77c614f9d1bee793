use annalist::Event;

#[derive(serde::Deserialize)]
struct DepositedV1 {
    dollars: u64,
}

#[derive(Event, Clone)]
#[event(category = "account")]
enum AccountEvent {
    #[event(name = "money-deposited", version = 2, upcast(from = DepositedV1))]
    Deposited { cents: u64 },
}

fn main() {}
