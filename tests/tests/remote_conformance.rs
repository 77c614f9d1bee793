//! The store as a server passes the conformance suite: a client against a server that runs as a process of its own,
//! reopening included, which ends that process and starts another in the same folder.

use std::num::NonZeroU8;

use tests::subjects::{Remote, in_ram};

fn store(connections: u8) -> Remote {
    let connections = NonZeroU8::new(connections).expect("at least one");
    Remote::start(env!("CARGO_BIN_EXE_store_server"), in_ram(), connections)
}

mod on_one_connection {
    fn store() -> super::Remote {
        super::store(1)
    }

    tests::event_store_conformance!(store);
    tests::query_conformance!(store);
    tests::condition_conformance!(store);
    tests::reopening_conformance!(store);
}

mod on_four_connections {
    fn store() -> super::Remote {
        super::store(4)
    }

    tests::event_store_conformance!(store);
    tests::query_conformance!(store);
    tests::condition_conformance!(store);
    tests::reopening_conformance!(store);
}
