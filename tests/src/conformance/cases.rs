//! The list of all cases: the macros that make them tests.

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
                whoever_stops_waiting_and_asks_again_misses_nothing
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
            times(store):
                no_position_is_before_any_time_of_an_empty_log
                a_time_leads_to_the_last_event_before_it
                reading_from_a_time_begins_with_its_first_event
                times_are_found_in_a_long_log;
            statistics(subject):
                a_new_store_holds_nothing
                counts_grow_with_what_is_recorded
                what_is_not_recorded_does_not_count
                only_a_store_on_a_disk_occupies_it;
            lifecycle(subject):
                a_closed_store_says_so
                closing_ends_a_subscription_that_waits
                closing_twice_is_no_mistake;
        }
    };
}

/// Makes each case about queries a test on a fresh store; as
/// [`event_store_conformance!`](crate::event_store_conformance).
#[macro_export]
macro_rules! query_conformance {
    ($fresh:ident) => {
        $crate::conformance_cases! { $fresh;
            queries(store):
                each_shape_finds_what_it_describes
                an_event_that_matches_several_items_comes_once
                a_tag_that_is_given_twice_counts_once
                a_name_is_not_mixed_up_with_those_that_begin_alike
                type_tag_category_and_stream_of_the_same_text_are_different
                a_category_ends_at_the_first_dash
                names_of_any_allowed_length_are_found
                a_type_is_found_in_all_its_versions
                the_records_of_the_store_are_found_too
                what_nothing_matches_is_empty
                the_largest_query_is_answered
                a_query_that_breaks_a_rule_is_refused;
            query_reads(store):
                bounds_and_limits_cut_what_is_found
                matches_in_a_long_log_are_found_in_both_directions
                everything_is_found_as_without_a_query
                a_read_by_query_sees_the_log_as_it_was_when_it_began
                a_read_says_what_the_head_was_when_it_began
                readers_by_query_see_whole_appends_and_all_up_to_the_head;
            query_subscriptions(store):
                only_what_matches_is_delivered
                what_matches_comes_when_it_is_recorded
                the_edge_is_not_told_again_for_what_does_not_match
                a_checkpoint_comes_when_the_log_comes_to_rest
                checkpoints_come_while_only_others_write
                whoever_resumes_misses_nothing_and_gets_nothing_twice
                dropping_the_wait_for_a_match_loses_nothing
                a_slow_subscriber_slows_no_one
                many_follow_different_queries_while_others_write;
        }
    };
}

/// Makes each case about conditions a test on a fresh store; as
/// [`event_store_conformance!`](crate::event_store_conformance).
#[macro_export]
macro_rules! condition_conformance {
    ($fresh:ident) => {
        $crate::conformance_cases! { $fresh;
            conditions(store):
                without_a_cursor_nothing_at_all_may_match
                only_what_stands_behind_the_cursor_counts
                matches_are_found_wherever_they_stand_in_a_long_log
                the_first_condition_that_fails_is_named
                an_appends_own_events_do_not_count
                nothing_new_at_all_can_be_a_condition
                the_streams_are_looked_at_before_the_conditions
                the_key_is_looked_at_before_the_conditions
                a_cursor_that_does_not_belong_is_refused
                conditions_alone_write_nothing
                conditions_with_a_key_alone_are_recorded
                conditions_go_with_guards
                what_a_condition_refuses_leaves_no_trace
                as_many_conditions_as_allowed_are_checked
                what_was_just_recorded_is_seen;
            condition_races(store):
                of_many_that_claim_the_same_name_one_wins
                of_two_that_forbid_each_other_one_wins
                decisions_about_different_things_do_not_disturb_each_other
                a_course_is_never_overbooked
                whole_log_decisions_follow_one_another;
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
            reopening_queries(subject):
                queries_find_the_same
                what_was_recorded_last_is_found
                conditions_are_checked_against_what_was_recorded
                names_are_claimed_once_through_many_reopenings
                subscriptions_by_query_go_on
                times_and_counts_are_the_same
                a_read_knows_the_head;
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
