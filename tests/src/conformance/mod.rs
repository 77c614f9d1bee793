//! One suite of cases that every event store passes, so that a framework built on the ports runs on any of them.
//!
//! A case is an async function that is given a fresh store and panics if the store breaks a rule. The macros make each
//! case a test of its own, named by its topic and what it checks:
//!
//! - [`event_store_conformance!`](crate::event_store_conformance): the whole of the ports.
//! - [`reopening_conformance!`](crate::reopening_conformance): what a store that keeps its events must do besides. A
//!   store that cannot be reopened does without it.

#![expect(missing_docs, reason = "the name of a case says what it checks")]
#![expect(clippy::missing_panics_doc, reason = "panicking is how a case fails")]

use std::{sync::Arc, time::Duration};

use annalist_core::{Checkpoints, EventStore, Snapshots};
use async_trait::async_trait;

pub mod appends;
pub mod caches;
pub mod concurrency;
pub mod expectations;
pub mod keys;
pub mod lifecycle;
pub mod limits;
pub mod reads;
pub mod reopening;
pub mod several_streams;
pub mod subscriptions;

mod support;

/// The store under test.
pub type Store = Arc<dyn EventStore>;

/// A store under test with all its ports, and whatever it lives in.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The log.
    fn store(&self) -> Store;
    /// The snapshots beside it.
    fn snapshots(&self) -> Arc<dyn Snapshots>;
    /// The checkpoints beside it.
    fn checkpoints(&self) -> Arc<dyn Checkpoints>;
    /// Closes the store for all its handles.
    async fn close(&self);
    /// The same as something that can be opened again; `None` if it cannot.
    fn reopens(&mut self) -> Option<&mut dyn Reopens>;
}

/// In which state a closed store is opened again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reopening {
    /// As it was left.
    AsItIs,
    /// After everything that can be derived from the log was deleted.
    WithoutIndex,
}

/// A store that keeps what was recorded when it is closed.
#[async_trait]
pub trait Reopens: Subject {
    /// Closes the store and opens it again; the handles given out before stay closed.
    async fn reopen(&mut self, how: Reopening);
}

/// Far beyond what any case needs: a case that hangs fails, under its name.
const CASE_TIME_MAX: Duration = Duration::from_mins(2);

/// Runs a case, and fails it if it does not end.
pub async fn within_time(case: impl Future<Output = ()>) {
    tokio::time::timeout(CASE_TIME_MAX, case).await.expect("the case ends");
}

/// Makes each case of the ports a test on a fresh store: `event_store_conformance!(fresh)`, where `fresh` is a function
/// without arguments whose answer implements [`Subject`](crate::conformance::Subject).
#[macro_export]
macro_rules! event_store_conformance {
    ($fresh:ident) => {
        $crate::conformance_cases! { $fresh;
            appends(store):
                a_new_store_is_empty
                the_answer_says_where_the_events_stand
                versions_count_each_stream_and_positions_the_log
                an_event_comes_back_as_it_went_in
                names_are_text_in_any_script_and_of_any_allowed_length
                a_stream_is_not_mixed_up_with_those_whose_names_begin_alike
                time_does_not_go_backwards
                what_is_acknowledged_is_readable_at_once;
            expectations(store):
                any_version_is_accepted_as_any
                no_stream_is_refused_once_there_is_one
                an_existing_stream_is_refused_until_there_is_one
                an_exact_version_is_refused_when_it_is_another
                exactly_version_zero_means_no_stream
                a_conflict_names_the_first_entry_that_is_not_as_expected
                a_refused_append_leaves_no_trace;
            several_streams(store):
                all_streams_are_written_in_the_order_given
                nothing_is_written_when_a_later_entry_is_refused
                an_entry_sees_those_before_it
                a_conflict_with_an_earlier_entry_counts_its_events
                a_guard_that_holds_lets_the_append_through
                a_guard_that_does_not_hold_refuses_the_append
                guards_alone_write_nothing
                a_guard_sees_the_entries_before_it
                a_guard_does_not_make_a_stream;
            keys(store):
                an_outcome_is_remembered
                a_repetition_is_answered_as_the_first_time
                another_request_under_the_same_key_is_refused
                the_key_is_looked_at_before_the_streams
                a_refused_append_leaves_its_key_free
                keys_of_different_scopes_are_different
                a_keyed_append_without_events_is_recorded_by_the_store
                the_records_of_the_store_have_identities_of_their_own
                guards_with_a_key_are_checked_and_recorded
                an_outcome_lists_all_streams_that_were_written
                a_large_reply_comes_back_whole
                keys_are_remembered_through_many_appends;
            reads(store):
                bounds_and_limits_cut_the_log
                bounds_and_limits_cut_a_stream
                a_long_log_is_read_whole_in_both_directions
                a_long_stream_is_read_whole_in_both_directions
                a_read_sees_the_log_as_it_was_when_it_began
                two_reads_do_not_disturb_each_other
                the_records_of_the_store_are_part_of_the_log;
            subscriptions(store):
                history_comes_first_then_the_present
                the_edge_is_told_once_each_time
                a_subscription_begins_behind_its_cursor
                every_cursor_that_is_given_out_fits
                the_cursor_of_another_store_is_refused
                the_cursor_of_another_epoch_is_refused
                a_cursor_beyond_the_head_is_refused
                dropping_the_wait_loses_nothing
                each_subscriber_sees_everything_in_order_while_others_write
                a_subscriber_that_goes_away_does_not_matter;
            concurrency(store):
                positions_are_dense_when_many_write
                exactly_one_wins_each_version
                a_key_is_recorded_once_when_many_use_it
                of_different_requests_under_one_key_one_is_recorded
                of_two_that_guard_each_others_stream_one_wins
                appends_stand_together_when_many_write
                readers_see_whole_appends_only
                an_abandoned_append_is_recorded_once_when_repeated;
            limits(store):
                an_empty_append_is_refused
                what_is_reserved_for_the_store_is_refused
                too_many_events_are_refused
                too_many_entries_are_refused
                too_large_an_event_is_refused
                too_large_an_append_is_refused
                too_large_a_reply_is_refused
                what_is_just_allowed_is_recorded;
            caches(subject):
                a_snapshot_is_loaded_as_it_was_saved
                a_snapshot_is_replaced
                snapshots_of_different_streams_are_kept_apart
                a_checkpoint_is_loaded_as_it_was_saved
                a_checkpoint_is_replaced
                checkpoints_of_different_names_are_kept_apart;
            lifecycle(subject):
                a_closed_store_says_so
                closing_ends_a_subscription_that_waits
                closing_twice_is_no_mistake;
        }
    };
}

/// Makes each case about closing and opening again a test on a fresh store; as
/// [`event_store_conformance!`](crate::event_store_conformance), but for answers that also implement
/// [`Reopens`](crate::conformance::Reopens).
#[macro_export]
macro_rules! reopening_conformance {
    ($fresh:ident) => {
        $crate::conformance_cases! { $fresh;
            reopening(subject):
                an_empty_store_is_empty_again
                the_log_is_the_same
                keys_are_remembered
                expectations_are_checked_against_what_was_recorded
                positions_versions_and_time_go_on
                cursors_stay_good
                checkpoints_are_kept
                handles_from_before_stay_closed
                what_is_written_between_many_reopenings_is_all_there;
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    ($fresh:ident; $($topic:ident($given:ident): $($case:ident)+;)+) => {
        $(
            mod $topic {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $case() {
                        let mut subject = super::$fresh();
                        let given = $crate::conformance_given!($given, subject);
                        $crate::conformance::within_time($crate::conformance::$topic::$case(given)).await;
                    }
                )+
            }
        )+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! conformance_given {
    (store, $subject:ident) => {
        &$crate::conformance::Subject::store(&$subject)
    };
    (subject, $subject:ident) => {
        &mut $subject
    };
}
