//! Single hand-offs under every schedule that there is.

use schedules::{
    explore::{exhaust, explore},
    small,
};

#[test]
fn who_waits_for_the_watermark_is_woken() {
    assert!(exhaust("waits_for_the_watermark", small::waits_for_the_watermark) > 20);
}

#[test]
fn who_waits_for_what_has_failed_is_woken() {
    assert!(exhaust("waits_for_a_failure", small::waits_for_a_failure) > 20);
}

#[test]
fn no_change_of_the_view_is_lost() {
    assert!(exhaust("changes_of_the_view", small::changes_of_the_view) > 20);
}

#[test]
fn a_view_covers_its_watermark() {
    // Too large for all of them.
    explore("a_view_covers_its_watermark", 1000, small::views_cover_the_watermark, &[]);
}

#[test]
fn the_doubles_lose_nothing() {
    assert!(exhaust("one_value", small::one_value) > 10);
    assert!(exhaust("watched_values", small::watched_values) > 10);
    // Its threads may be woken for no reason, as often as one likes.
    explore("the_doubles_lose_nothing", 1000, small::queued_values, &[]);
}
