//! What is earned and spent.

use super::*;

#[tokio::test(start_paused = true)]
async fn repetitions_run_out_and_are_earned_again() {
    let budget = Budget::new();
    for _ in 0..10_000 {
        budget.earn();
    }
    assert_eq!((0..2 * REPEATS_MAX).filter(|_| budget.spend()).count(), REPEATS_MAX as usize, "no more are saved up");
    assert!(!budget.spend());
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    assert_eq!((0..100).filter(|_| budget.spend()).count(), REPEATS_PER_SECOND as usize, "by time");
    for _ in 0..50 {
        budget.earn();
    }
    assert_eq!((0..100).filter(|_| budget.spend()).count(), 10, "by calls");
}
