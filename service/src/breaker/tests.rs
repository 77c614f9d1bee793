//! A breaker is checked against one that keeps everything it ever saw and counts anew each time, and against one that somebody
//! else has written.

use std::time::Duration;

use proptest::{collection::vec, prelude::*};
use tokio::time::{Instant, advance};

use super::*;

const OPEN_FOR: Duration = Duration::from_secs(30);

/// Fails `failures` calls in a row.
fn fail(breaker: &Breaker, failures: usize) {
    (0..failures).for_each(|_| breaker.admit().unwrap().record(Outcome::Failure));
}

#[tokio::test(start_paused = true)]
async fn five_failures_open_it_and_three_probes_close_it() {
    let breaker = Breaker::new("provider", BreakerPolicy::default());
    fail(&breaker, 4);
    breaker.admit().unwrap().record(Outcome::Success);
    fail(&breaker, 5);
    assert_eq!(breaker.state(), BreakerState::Open);
    advance(Duration::from_secs(10)).await;
    assert_eq!(breaker.admit().unwrap_err().retry_after, Duration::from_secs(20));
    advance(Duration::from_secs(20)).await;
    let mut probes: Vec<_> = (0..3).map(|_| breaker.admit().unwrap()).collect();
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    assert!(breaker.admit().is_err(), "a fourth probe");
    // A probe that is given up frees its place.
    drop(probes.pop());
    probes.push(breaker.admit().unwrap());
    for probe in probes {
        probe.record(Outcome::Success);
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
    let BreakerCounts { succeeded, failed, ignored, refused, opened } = breaker.counts();
    assert_eq!((succeeded, failed, ignored, refused, opened), (4, 9, 1, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_failed_probe_opens_it_for_another_while() {
    let breaker = Breaker::new("provider", BreakerPolicy::consecutive(1));
    fail(&breaker, 1);
    advance(OPEN_FOR).await;
    fail(&breaker, 1);
    assert_eq!(breaker.admit().unwrap_err().retry_after, OPEN_FOR);
}

#[tokio::test(start_paused = true)]
async fn what_was_let_through_before_a_change_does_not_count_after_it() {
    let breaker = Breaker::new("provider", BreakerPolicy::consecutive(1));
    let early = breaker.admit().unwrap();
    fail(&breaker, 1);
    advance(OPEN_FOR).await;
    let probe = breaker.admit().unwrap();
    early.record(Outcome::Failure);
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    probe.record(Outcome::Success);
}

#[tokio::test(start_paused = true)]
async fn slowness_opens_it_too() {
    let rate = RatePolicy::new(Window::Calls(10), 4, 1.0).slow(Duration::from_secs(1), 0.5);
    let breaker = Breaker::new("provider", BreakerPolicy::rate(rate).probes(1));
    let call = async |took: u64| {
        let permit = breaker.admit().unwrap();
        advance(Duration::from_millis(took)).await;
        permit.record(Outcome::Success);
        breaker.state()
    };
    assert_eq!(call(999).await, BreakerState::Closed);
    assert_eq!(call(1000).await, BreakerState::Closed);
    assert_eq!(call(10).await, BreakerState::Closed);
    assert_eq!(call(2000).await, BreakerState::Open);
    advance(OPEN_FOR).await;
    assert_eq!(call(1000).await, BreakerState::Open);
    advance(OPEN_FOR).await;
    assert_eq!(call(10).await, BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn forced_states_hold_until_they_are_taken_back() {
    let breaker = Breaker::new("provider", BreakerPolicy::consecutive(1));
    breaker.force_closed();
    fail(&breaker, 10);
    assert_eq!(breaker.state(), BreakerState::ForcedClosed);
    breaker.force_open();
    advance(OPEN_FOR * 2).await;
    assert!(breaker.admit().is_err());
    breaker.release();
    assert_eq!(breaker.state(), BreakerState::Closed);
    fail(&breaker, 1);
    breaker.release();
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Begin,
    /// Ends the call that was begun so many before the last.
    End(usize, Outcome),
    Force(bool),
    Release,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let outcome = prop_oneof![4 => Just(Outcome::Failure), 4 => Just(Outcome::Success), 1 => Just(Outcome::Ignored)];
    vec(
        prop_oneof![
            3 => prop_oneof![0..200u64, 0..3_000u64, Just(30_000), 29_900..30_100u64].prop_map(Step::Pass),
            10 => Just(Step::Begin),
            10 => (0..4usize, outcome).prop_map(|(back, outcome)| Step::End(back, outcome)),
            1 => any::<bool>().prop_map(Step::Force),
            1 => Just(Step::Release),
        ],
        1..150,
    )
}

fn policies() -> impl Strategy<Value = BreakerPolicy> {
    let window = prop_oneof![
        (1..12u32).prop_map(Window::Calls),
        (100..5_000u64).prop_map(|millis| Window::Time(Duration::from_millis(millis)))
    ];
    let slow = proptest::option::of((0..300u64, 1..=10u32));
    let rate = (window, 1..10u32, 1..=10u32, slow).prop_map(|(window, calls_min, failed, slow)| {
        let rate = RatePolicy::new(window, calls_min, f64::from(failed) / 10.0);
        BreakerPolicy::rate(match slow {
            Some((after, slow)) => rate.slow(Duration::from_millis(after), f64::from(slow) / 10.0),
            None => rate,
        })
    });
    let trip = prop_oneof![(1..5u32).prop_map(BreakerPolicy::consecutive), rate];
    (trip, 1..4u32).prop_map(|(policy, probes)| policy.probes(probes))
}

/// A breaker that keeps everything.
struct Reference {
    policy: BreakerPolicy,
    /// What has happened, in order.
    history: Vec<Past>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Past {
    /// It was closed, since then.
    Closed(Instant),
    Opened(Instant),
    HalfOpen,
    Forced(bool),
    /// A call was let through, with this number; or ended.
    Begun(usize),
    Ended {
        call: usize,
        at: Instant,
        outcome: Outcome,
        took: Duration,
    },
}

impl Reference {
    fn new(policy: BreakerPolicy) -> Self {
        Self { policy, history: vec![Past::Closed(Instant::now())] }
    }

    /// What it turned to last, and what has happened since.
    fn phase(&self) -> (Past, &[Past]) {
        let turned = |past: &Past| !matches!(past, Past::Begun(_) | Past::Ended { .. });
        let last = self.history.iter().rposition(turned).unwrap();
        (self.history[last], &self.history[last + 1..])
    }

    fn state(&self) -> BreakerState {
        match self.phase().0 {
            Past::Closed(_) => BreakerState::Closed,
            Past::Opened(_) => BreakerState::Open,
            Past::HalfOpen => BreakerState::HalfOpen,
            Past::Forced(true) => BreakerState::ForcedOpen,
            _ => BreakerState::ForcedClosed,
        }
    }

    fn admits(&mut self, call: usize) -> bool {
        if let (Past::Opened(at), _) = self.phase()
            && at.elapsed() >= OPEN_FOR
        {
            self.history.push(Past::HalfOpen);
        }
        let admits = match self.phase() {
            (Past::Opened(_) | Past::Forced(true), _) => false,
            (Past::HalfOpen, since) => {
                let begun = since.iter().filter(|past| matches!(past, Past::Begun(_))).count();
                let given_up = |past: &&Past| matches!(past, Past::Ended { outcome: Outcome::Ignored, .. });
                begun - since.iter().filter(given_up).count() < usize::try_from(self.policy.probes).unwrap()
            }
            _ => true,
        };
        if admits {
            self.history.push(Past::Begun(call));
        }
        admits
    }

    fn ended(&mut self, call: usize, outcome: Outcome, took: Duration) {
        if !self.phase().1.contains(&Past::Begun(call)) {
            return;
        }
        self.history.push(Past::Ended { call, at: Instant::now(), outcome, took });
        let (turned, since) = self.phase();
        // Of each call that counts: when it ended, whether it failed, whether it was slow.
        let slow = |took: Duration| self.policy.slow_after().is_some_and(|after| took >= after);
        let ends: Vec<_> = since
            .iter()
            .filter_map(|past| match *past {
                Past::Ended { at, outcome, took, .. } if outcome != Outcome::Ignored => {
                    Some((at, outcome == Outcome::Failure, slow(took)))
                }
                _ => None,
            })
            .collect();
        let turn = match turned {
            Past::Closed(begun) if outcome != Outcome::Ignored && self.trips(begun, &ends) => {
                Some(Past::Opened(Instant::now()))
            }
            Past::HalfOpen if ends.iter().any(|(_, failed, slow)| *failed || *slow) => {
                Some(Past::Opened(Instant::now()))
            }
            Past::HalfOpen if ends.len() >= usize::try_from(self.policy.probes).unwrap() => {
                Some(Past::Closed(Instant::now()))
            }
            _ => None,
        };
        self.history.extend(turn);
    }

    fn trips(&self, begun: Instant, ends: &[(Instant, bool, bool)]) -> bool {
        let rate = match self.policy.trip {
            policy::Trip::Consecutive(max) => {
                return ends.iter().rev().take_while(|(_, failed, _)| *failed).count() >= usize::try_from(max).unwrap();
            }
            policy::Trip::Rate(rate) => rate,
        };
        let within: Vec<_> = match rate.window {
            Window::Calls(calls) => ends.iter().rev().take(usize::try_from(calls).unwrap()).collect(),
            Window::Time(time) => {
                let slot = |at: Instant| (at - begun).as_nanos() / (time / 10).as_nanos();
                ends.iter().filter(|(at, ..)| slot(*at) + 10 > slot(Instant::now())).collect()
            }
        };
        let part =
            |count: usize| f64::from(u32::try_from(count).unwrap()) / f64::from(u32::try_from(within.len()).unwrap());
        let failed = within.iter().filter(|(_, failed, _)| *failed).count();
        let slow = within.iter().filter(|(.., slow)| *slow).count();
        within.len() >= usize::try_from(rate.calls_min).unwrap()
            && (failed > 0 && part(failed) >= rate.failure_rate
                || slow > 0 && rate.slow.is_some_and(|policy| part(slow) >= policy.rate))
    }
}

proptest! {
    #[test]
    fn it_does_what_one_would_that_remembers_everything(policy in policies(), steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (breaker, mut reference) = (Breaker::new("provider", policy), Reference::new(policy));
            let (mut calls, mut under_way) = (0, Vec::new());
            for step in steps {
                match step {
                    Step::Pass(millis) => advance(Duration::from_millis(millis)).await,
                    Step::Begin => {
                        calls += 1;
                        let permit = breaker.admit();
                        prop_assert_eq!(permit.is_ok(), reference.admits(calls));
                        under_way.extend(permit.ok().map(|permit| (calls, Instant::now(), permit)));
                    }
                    Step::End(back, outcome) => {
                        if under_way.is_empty() {
                            continue;
                        }
                        let (call, begun, permit) = under_way.remove(under_way.len().saturating_sub(back + 1));
                        permit.record(outcome);
                        reference.ended(call, outcome, begun.elapsed());
                    }
                    Step::Force(open) => {
                        if open { breaker.force_open() } else { breaker.force_closed() }
                        reference.history.push(Past::Forced(open));
                    }
                    Step::Release => {
                        breaker.release();
                        if let (Past::Forced(_), _) = reference.phase() {
                            reference.history.push(Past::Closed(Instant::now()));
                        }
                    }
                }
                prop_assert_eq!(breaker.state(), reference.state());
            }
            Ok(())
        })?;
    }
}

/// Asks both the same, and tells both the same of each call that they let through.
fn alike(failures: u32, open_for: Duration, calls: &[bool]) -> Result<(), TestCaseError> {
    use failsafe::{Config, backoff::constant, failure_policy::consecutive_failures};
    let theirs = Config::new().failure_policy(consecutive_failures(failures, constant(open_for))).build();
    let ours = Breaker::new("provider", BreakerPolicy::consecutive(failures).open_for(open_for).probes(1));
    for (number, succeeds) in calls.iter().enumerate() {
        let call = ours.admit();
        prop_assert_eq!(call.is_ok(), theirs.is_call_permitted(), "call {}", number);
        let Ok(call) = call else { continue };
        if *succeeds {
            theirs.on_success();
            call.record(Outcome::Success);
        } else {
            theirs.on_error();
            call.record(Outcome::Failure);
        }
        // Theirs wants time to have passed, however little: it reads the clock of the system.
        let now = std::time::Instant::now();
        while std::time::Instant::now() <= now {}
    }
    Ok(())
}

proptest! {
    /// The same call opens both, and then both refuse; or, open for no time at all, both let one try and believe it.
    #[test]
    fn failures_in_a_row_count_as_in_the_crate_failsafe(failures in 1..7u32, calls in vec(any::<bool>(), 1..200)) {
        alike(failures, Duration::from_hours(1), &calls)?;
        alike(failures, Duration::ZERO, &calls)?;
    }
}
