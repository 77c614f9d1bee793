//! The store on disk passes the conformance suite, reopening included: as it is shipped, and with pages and index chunks
//! so small that a few events already lie in several of them.

mod as_shipped {
    use tests::subjects::{OnDisk, on_a_disk};

    fn store() -> OnDisk {
        OnDisk::as_shipped(on_a_disk())
    }

    tests::event_store_conformance!(store);
    tests::query_conformance!(store);
    tests::condition_conformance!(store);
    tests::reopening_conformance!(store);
}

mod in_small_pieces {
    use tests::subjects::{OnDisk, on_a_disk};

    fn store() -> OnDisk {
        OnDisk::in_small_pieces(on_a_disk())
    }

    tests::event_store_conformance!(store);
    tests::query_conformance!(store);
    tests::condition_conformance!(store);
    tests::reopening_conformance!(store);
}
