//! The soak in its short form: a few seconds, forty clients (`make soak` is the long one).

use std::time::Duration;

use tests::{
    soak::{Options, run},
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
