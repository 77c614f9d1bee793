//! Every change that a person can make to an event: what is refused, what only asks for an update, and what is said.

mod changes;
mod files;

use super::{
    compare::{Comparison, compare},
    lock::Lock,
};
use crate::{event::Declared, evolution::EventSchema};

fn lock_of(category: &'static str, schema: &'static [EventSchema], types: &'static [(&'static str, u16)]) -> Lock {
    Lock::of(&[Declared { category, types, schema }])
}

/// What a comparison refuses, one line each.
fn broken(before: &Lock, now: &Lock) -> Vec<String> {
    compare(before, now).broken
}

/// What a comparison finds new; nothing may be broken.
fn changes(before: &Lock, now: &Lock) -> (Vec<String>, Lock) {
    let Comparison { broken, changes, merged } = compare(before, now);
    assert_eq!(broken, [""; 0]);
    (changes, merged)
}
