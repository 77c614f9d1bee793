use annalist::{Event, Events};

#[derive(Event, Clone)]
#[event(category = "account")]
enum AccountEvent {
    #[event(name = "account-opened")]
    Opened,
}

#[derive(Events, Clone)]
struct NotAnEnum(AccountEvent);

#[derive(Events, Clone)]
enum Nothing {}

#[derive(Events, Clone)]
enum TwoInOne {
    Account(AccountEvent, AccountEvent),
}

#[derive(Events, Clone)]
enum NamedField {
    Account { event: AccountEvent },
}

#[derive(Clone)]
struct NotEvents;

#[derive(Events, Clone)]
enum NoEvents {
    Account(AccountEvent),
    Other(NotEvents),
}

fn main() {}
