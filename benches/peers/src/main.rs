//! Annalist beside its peers, measured in the same run. `docs/peers.md` says what is measured and how to read the tables;
//! `make peers` runs everything.
//!
//! Each figure comes from a process of its own (the same program, told what to do by [`task::Task`]): no store inherits
//! another's memory, the peak of its memory can be told, and it can be killed.

mod batch;
mod cpu;
mod figures;
mod fill;
mod groups;
mod load;
mod memory;
mod peer;
mod reading;
mod rounds;
#[cfg(feature = "servers")]
mod served;
mod settings;
mod stores;
mod task;

use std::env;

use benches::Failure;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.as_slice() {
        #[cfg(feature = "servers")]
        [word, server, folder] if word == served::SERVE => served::serve(server, folder.as_ref()),
        [word, task] if word == task::CHILD => task::carry_out(&serde_json::from_str(task)?),
        _ => groups::run(&settings::Settings::new(arguments)?),
    }
}
