//! A relay killed with SIGKILL in mid-flight, as a process of its own over a store on disk.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

mod support;

use std::{
    env,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use annalist::outbox::Outbox;
use annalist_core::EventStore;
use annalist_nats::Jetstream;
use annalist_store::Store;
use support::{STREAM, Server, assert_holds_orders, drained, hasty, place_orders, public, within};

const ORDERS: u64 = 6_000;
/// Kills happen about evenly over the publishing.
const KILLS: u64 = 8;

const DIR: &str = "ANNALIST_TEST_STORE";
const URL: &str = "ANNALIST_TEST_NATS";

/// This test is two processes: started with a store in the environment it is the relay that is to be killed.
#[test]
fn a_relay_killed_in_mid_flight_loses_nothing_and_stores_nothing_twice() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match (env::var(DIR), env::var(URL)) {
        (Ok(dir), Ok(url)) => runtime.block_on(relay_process(Path::new(&dir), &url)),
        _ => runtime.block_on(kill_it_again_and_again()),
    }
}

async fn kill_it_again_and_again() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let store = Store::open(dir.path()).unwrap();
    place_orders(&store, 1, ORDERS).await;
    store.close().await.unwrap();
    drop(store);

    let mut killed_in_mid_flight = 0;
    for kill in 1..=KILLS {
        let mut child = Relaying::start(dir.path(), &server);
        let goal = kill * ORDERS / (KILLS + 2);
        within("the relay process to publish", async {
            while count(&server).await < goal {
                assert!(child.is_running(), "the relay process must not end by itself before it is done");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        child.kill();
        killed_in_mid_flight += u64::from(count(&server).await < ORDERS);
    }
    assert!(killed_in_mid_flight > KILLS / 2, "only {killed_in_mid_flight} of {KILLS} kills came before the end");

    let mut last = Relaying::start(dir.path(), &server);
    within("the last relay process to finish", async {
        while last.is_running() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_holds_orders(&server.url(), ORDERS).await;
}

/// How many messages the broker holds.
async fn count(server: &Server) -> u64 {
    match annalist_nats::published(&server.url(), STREAM).await {
        Ok(stored) => stored.count(),
        Err(_) => 0,
    }
}

/// What the child does: publish everything, then end.
async fn relay_process(dir: &Path, url: &str) {
    let store = Arc::new(Store::open(dir).unwrap());
    let publisher = Jetstream::at(url).stream(STREAM);
    let relay = Outbox::new(publisher).map(public).options(hasty()).start(store.clone(), store.clone());
    drained(&relay).await;
    relay.shutdown().await;
    assert_eq!(store.head().await.unwrap().position.get(), ORDERS);
    store.close().await.unwrap();
}

/// A relay process; killed at the end.
struct Relaying(Child);

impl Relaying {
    fn start(dir: &Path, server: &Server) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "a_relay_killed_in_mid_flight_loses_nothing_and_stores_nothing_twice"]);
        command.env(DIR, dir).env(URL, server.url()).stdin(Stdio::null()).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn is_running(&mut self) -> bool {
        match self.0.try_wait().unwrap() {
            None => true,
            Some(status) => {
                assert!(status.success(), "the relay process failed: {status}");
                false
            }
        }
    }

    /// With SIGKILL.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Relaying {
    fn drop(&mut self) {
        self.kill();
    }
}
