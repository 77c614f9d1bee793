//! The soak in its short form: a few seconds, forty clients (`make soak` is the long one).

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use annalist_store::Store;
use tests::{
    soak::{Growth, Options, Sample, run},
    subjects::in_ram,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_everybody_sees_everything_in_order() {
    let dir = in_ram();
    let options = Options {
        program: env!("CARGO_BIN_EXE_store_server").into(),
        data: dir.path().join("store"),
        duration: Duration::from_secs(4),
        connections: 40,
        events_per_second: 400,
        kill_every: Duration::from_millis(500),
        sample_every: Duration::from_secs(1),
    };
    let report = run(&options, |_| {}).await.expect("nothing is wrong");
    assert!(report.kills > 0, "it was killed");
    assert!(report.events >= 16, "each writer has written");
}

/// Of a process a sample each ten seconds, behind one of a process that was killed.
fn samples(own_mib: impl Fn(u64) -> u64, minutes: u64) -> Vec<Sample> {
    let sample = |process, seconds, own_kib| Sample {
        at: Duration::from_secs(seconds),
        process,
        events: 0,
        resident_kib: 0,
        own_kib,
    };
    let last = (1..=6 * minutes + 1).map(|at| sample(2, at * 10, own_mib(at) * 1024));
    std::iter::once(sample(1, 0, 4096)).chain(last).collect()
}

#[test]
fn what_grows_is_told_from_what_is_warm() {
    assert!(Growth::of(&samples(|_| 100, 10)).is_none(), "it is too short to say");
    let warm = Growth::of(&samples(|at| 100.min(10 * at), 15)).expect("it is long enough");
    assert_eq!(warm, Growth { before_kib: 100 * 1024, after_kib: 100 * 1024 });
    assert!(warm.is_flat());
    let grows = Growth::of(&samples(|at| 100 + at, 15)).expect("it is long enough");
    assert!(!grows.is_flat(), "{grows}");
}

#[test]
fn a_soak_that_is_killed_leaves_no_server_behind() {
    let dir = in_ram();
    let mut command = Command::new(env!("CARGO_BIN_EXE_soak"));
    command.args(["--seconds", "600", "--connections", "20", "--data"]).arg(dir.path()).stdout(Stdio::piped());
    let mut soak = command.spawn().expect("it starts");
    let mut said = BufReader::new(soak.stdout.take().expect("its output is piped")).lines();
    said.next().expect("it says how it stands").expect("text");
    let store = dir.path().join("store");
    Store::open(&store).map(drop).expect_err("its server has the store");
    soak.kill().expect("it can be killed");
    soak.wait().expect("it is dead");
    while Store::open(&store).is_err() {}
}
