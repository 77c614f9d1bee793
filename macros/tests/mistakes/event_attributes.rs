//! Everything that can be wrong with the attributes of events, each shown at its own place and all at once.

use annalist::Event;

#[derive(Event, Clone)]
#[event(category = "bank-account")]
enum Events {
    Unnamed,
    #[event(name = "")]
    Empty,
    #[event(name = "$commit")]
    Reserved,
    #[event(name = "money-moved")]
    Moved,
    #[event(name = "money-moved")]
    MovedAgain,
    #[event(title = "account-closed")]
    Misspelt,
    #[event(name = "account-frozen", name = "account-thawed")]
    Twice,
    #[event(name = "account-counted", version = 0)]
    VersionZero,
    #[event(name = "account-merged")]
    Tuple(u32, u32),
    #[event(name = "account-split")]
    TagWithoutName(#[event(tag)] u32),
    #[event(name = "account-renamed")]
    UnknownField {
        #[event(index)]
        name: String,
    },
}

fn main() {}
