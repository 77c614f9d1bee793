use annalist::Event;

#[derive(Event, Clone)]
enum WithoutCategory {
    #[event(name = "account-opened")]
    Opened,
}

#[derive(Event, Clone)]
#[event(category = "account")]
struct NotAnEnum;

#[derive(Event, Clone)]
#[event(category = "account")]
enum Generic<T> {
    #[event(name = "account-opened")]
    Opened(T),
}

fn main() {}
