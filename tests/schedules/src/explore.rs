//! Running a scenario under many schedules.
//!
//! `ANNALIST_SCHEDULES` says how many for each scenario, `ANNALIST_SEED` which comes first: schedules are drawn in rounds, a
//! round from one seed. `ANNALIST_SCHEDULE` names a file with one schedule, which is then the only one.

use std::{
    cell::Cell,
    env,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::Instant,
};

use shuttle::{
    Config, FailurePersistence, MaxSteps, Runner,
    scheduler::{DfsScheduler, PctScheduler, RandomScheduler, ReplayScheduler, Scheduler, UrwRandomScheduler},
};

use crate::{
    census::{self, Kind},
    concurrency::time,
};

/// Schedules that are drawn from one seed: those by priorities learn from each other how long one is.
const ROUND: u64 = 20;
/// Far more steps than any scenario takes that comes to an end.
const STEPS_MAX: usize = 400_000;

thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// Runs a scenario, the test of this name, under `count` schedules or as many as the environment says, and says how many
/// steps that were.
///
/// # Panics
/// If one of them fails; a line before says how to repeat it. Or if something that is expected comes up in none of them.
#[expect(clippy::print_stderr, reason = "it is what the tests have to say")]
pub fn explore(name: &str, count: u64, scenario: fn(), expected: &[Kind]) {
    let scenario = move || {
        time::restart();
        scenario();
        STEPS.set(STEPS.get() + shuttle::current::context_switches() as u64);
    };
    if let Ok(file) = env::var("ANNALIST_SCHEDULE") {
        let replay = ReplayScheduler::new_from_file(file).expect("the file of the schedule can be read");
        Runner::new(replay, config()).run(scenario);
        return;
    }
    let usual = count;
    let count = number("ANNALIST_SCHEDULES").unwrap_or(usual);
    let first = number("ANNALIST_SEED").unwrap_or(1);
    let (began, rounds) = (Instant::now(), count.div_ceil(ROUND));
    STEPS.set(0);
    for seed in first..first + rounds {
        let round = || Runner::new(scheduler(seed), config()).run(scenario);
        if let Err(failure) = catch_unwind(AssertUnwindSafe(round)) {
            eprintln!("{name}: repeat it with ANNALIST_SEED={seed} ANNALIST_SCHEDULES={ROUND}");
            resume_unwind(failure);
        }
    }
    let missing = census::missing(expected);
    assert!(
        missing.is_empty() || count < usual,
        "the schedules are too much alike; in none of them was there {missing:?}"
    );
    let (schedules, steps, took) = (rounds * ROUND, STEPS.get(), began.elapsed().as_secs_f64());
    eprintln!("{name}: {schedules} schedules, {steps} steps, {took:.1} s, ANNALIST_SEED={first}");
}

/// Runs a small scenario under every schedule that there is, and says how many there are. What is left to chance is the same
/// each time.
///
/// # Panics
/// If one of them fails.
#[expect(clippy::print_stderr, reason = "it is what the tests have to say")]
pub fn exhaust(name: &str, scenario: fn()) -> usize {
    let count = Runner::new(DfsScheduler::new(None, true), config()).run(scenario);
    eprintln!("{name}: {count} schedules, which are all");
    count
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

/// By turns all by chance; by chance with regard to how much each task has to do; by priorities that change once, and more
/// often.
fn scheduler(seed: u64) -> Box<dyn Scheduler + Send> {
    let count = usize::try_from(ROUND).expect("it is small");
    match seed % 4 {
        0 => Box::new(UrwRandomScheduler::new_from_seed(seed, count)),
        1 => Box::new(RandomScheduler::new_from_seed(seed, count)),
        2 => Box::new(PctScheduler::new_from_seed(seed, 2, count)),
        _ => Box::new(PctScheduler::new_from_seed(seed, 5, count)),
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = 256 * 1024;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    config.failure_persistence = FailurePersistence::File(Some(env::temp_dir()));
    config.silence_warnings = true;
    // What has failed need not end: it may be that it never would.
    config.ungraceful_shutdown_config.immediately_return_on_panic = true;
    config
}
