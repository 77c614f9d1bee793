//! Random histories give the answers that the rules say. `ANNALIST_CASES` sets how many, `ANNALIST_SEED` repeats a run.

use tests::{
    model::check,
    subjects::{InMemory, OnDisk, in_ram},
};

#[test]
fn the_store_in_memory_answers_by_the_rules() {
    check(InMemory::default);
}

#[test]
fn the_store_on_disk_answers_by_the_rules() {
    check(|| OnDisk::as_shipped(in_ram()));
}

#[test]
fn the_store_on_disk_in_small_pieces_answers_by_the_rules() {
    check(|| OnDisk::in_small_pieces(in_ram()));
}
