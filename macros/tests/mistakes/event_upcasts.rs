use annalist::Event;

#[derive(serde::Deserialize)]
struct Old;

#[derive(Event, Clone)]
#[event(category = "account")]
enum Events {
    #[event(name = "a", upcast(from = Old))]
    NothingOlder,
    #[event(name = "b", version = 2, upcast(version = 2, from = Old))]
    NotOlder,
    #[event(name = "c", version = 3, upcast(version = 2, from = Old), upcast(from = Old))]
    TwoOfOneVersion,
    #[event(name = "d", version = 2, upcast(version = 1))]
    FromWhat,
}

fn main() {}
