//! The store's hand-offs between threads, under schedules that a scheduler chooses: what must hold, holds whoever goes first.
//! `ANNALIST_SCHEDULES` sets how many for each, `ANNALIST_SEED` where they begin.

use schedules::{
    census::Kind::{
        Abandoned, AcrossTheMark, CaughtUp, Checkpoint, Closed, ConditionFailed, Conflict, KeyReused, Poisoned,
        Recorded, Repeated, SharedWrite, Unavailable, Unknown,
    },
    explore::explore,
    scenarios,
};

#[test]
fn one_wins_each_version() {
    explore("one_wins_each_version", 600, scenarios::versions, &[Recorded, Conflict]);
}

#[test]
fn a_key_is_recorded_once() {
    explore("a_key_is_recorded_once", 600, scenarios::keys, &[Recorded, Repeated, KeyReused]);
}

#[test]
fn one_of_those_who_contend_for_a_condition_wins() {
    explore("one_of_those_who_contend_for_a_condition_wins", 600, scenarios::conditions, &[Recorded, ConditionFailed]);
}

#[test]
fn readers_see_each_event_once() {
    explore("readers_see_each_event_once", 600, scenarios::reads, &[Recorded, AcrossTheMark]);
}

#[test]
fn subscribers_get_each_event_once_and_are_told_the_end() {
    explore(
        "subscribers_get_each_event_once_and_are_told_the_end",
        600,
        scenarios::subscriptions,
        &[Recorded, CaughtUp, Checkpoint],
    );
}

#[test]
fn what_clients_are_told_is_true() {
    explore(
        "what_clients_are_told_is_true",
        600,
        scenarios::anything,
        &[Recorded, Repeated, Conflict, ConditionFailed, SharedWrite, AcrossTheMark, CaughtUp],
    );
}

#[test]
fn nothing_is_written_behind_a_failed_write() {
    explore(
        "nothing_is_written_behind_a_failed_write",
        600,
        scenarios::failed_write,
        &[Recorded, Repeated, Unknown, Poisoned],
    );
}

#[test]
fn an_index_that_fails_holds_nobody_up() {
    explore(
        "an_index_that_fails_holds_nobody_up",
        600,
        scenarios::failed_index,
        &[Recorded, Unavailable, AcrossTheMark],
    );
}

#[test]
fn who_does_not_wait_costs_nobody_an_answer() {
    explore("who_does_not_wait_costs_nobody_an_answer", 600, scenarios::abandoned, &[Recorded, Abandoned, Unknown]);
}

#[test]
fn everything_ends_with_the_store() {
    explore("everything_ends_with_the_store", 600, scenarios::closing, &[Recorded, Closed, CaughtUp]);
}
