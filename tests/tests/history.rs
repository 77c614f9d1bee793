//! What many clients at once are answered can be explained by the rules. `ANNALIST_CASES` sets how many histories there are
//! (one for each eight cases), `ANNALIST_SEED` repeats what the clients do.

use tests::{
    history::check,
    subjects::{InMemory, OnDisk, in_ram},
};

#[test]
fn what_the_store_in_memory_answers_many_can_be_explained() {
    check(InMemory::default);
}

#[test]
fn what_the_store_on_disk_answers_many_can_be_explained() {
    check(|| OnDisk::as_shipped(in_ram()));
}

#[test]
fn what_the_store_on_disk_in_small_pieces_answers_many_can_be_explained() {
    check(|| OnDisk::in_small_pieces(in_ram()));
}
