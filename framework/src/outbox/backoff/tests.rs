use super::*;

#[test]
fn pauses_double_up_to_the_longest_and_begin_again_after_a_success() {
    let (min, max) = (Duration::from_millis(10), Duration::from_millis(500));
    let mut backoff = Backoff::new(min, max, &"a");
    for attempt in 0..40_u32 {
        let full = min.saturating_mul(2_u32.saturating_pow(attempt)).min(max);
        let pause = backoff.next();
        assert!(pause > full / 2 && pause <= full, "pause {attempt} is {pause:?}, at most {full:?}");
    }
    backoff.reset();
    assert!(backoff.next() <= min);
}

#[test]
fn different_relays_pause_differently() {
    let pauses = |name: &str| {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(1), &name);
        (0..8).map(|_| backoff.next()).collect::<Vec<_>>()
    };
    assert_eq!(pauses("orders"), pauses("orders"));
    assert_ne!(pauses("orders"), pauses("bank"));
}
