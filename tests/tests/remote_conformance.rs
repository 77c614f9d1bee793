//! The store as a server passes the conformance suite: a client against a server that runs as a process of its own,
//! reopening included, which ends that process and starts another in the same folder.

use tests::subjects::{Remote, in_ram};

fn store() -> Remote {
    Remote::start(env!("CARGO_BIN_EXE_store_server"), in_ram())
}

tests::event_store_conformance!(store);
tests::query_conformance!(store);
tests::condition_conformance!(store);
tests::reopening_conformance!(store);
