//! The store in memory passes the conformance suite. It keeps nothing, so that reopening is not its concern.

use tests::subjects::InMemory;

fn store() -> InMemory {
    InMemory::default()
}

tests::event_store_conformance!(store);
tests::query_conformance!(store);
tests::condition_conformance!(store);
