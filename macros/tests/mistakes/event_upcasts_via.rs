use annalist::Event;

#[derive(serde::Deserialize)]
struct V1;

#[derive(serde::Deserialize)]
struct V2;

#[derive(Event, Clone)]
#[event(category = "account")]
enum Events {
    #[event(name = "a", version = 2, upcast(from = V1, via = V2))]
    NoSuchStep,
    #[event(name = "b", version = 3, upcast(version = 1, from = V1), upcast(from = V2, via = V1))]
    Backwards,
    #[event(name = "c", version = 3, upcast(version = 1, from = V1, through = V2), upcast(from = V2))]
    Misspelt,
}

fn main() {}
