use annalist::Event;

#[derive(Event, Clone)]
#[event(category = "account")]
enum AccountEvent {
    #[event(name = "account-closed")]
    Closed {
        #[event(tag)]
        reasons: Vec<String>,
    },
}

fn main() {}
