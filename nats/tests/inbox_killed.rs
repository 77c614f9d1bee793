//! A consuming service killed with SIGKILL at any moment, as a process of its own over a store on disk, and the broker
//! with it.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

mod support;

use std::{
    env,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use annalist::Store;
use async_nats::jetstream::{self, consumer::PullConsumer};
use support::{
    Server,
    bank::{GIRO, SAVINGS, assert_received, consumer, giro, publisher, savings, send},
    within,
};

const TRANSFERS: i64 = 2_000;
/// Kills happen about evenly over the consuming.
const KILLS: u64 = 8;

const DIR: &str = "ANNALIST_TEST_STORE";
const URL: &str = "ANNALIST_TEST_NATS";

/// This test is two processes: started with a store in the environment it is the service that is to be killed.
#[test]
fn a_service_killed_in_mid_flight_takes_each_message_in_once_and_in_order() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match (env::var(DIR), env::var(URL)) {
        (Ok(dir), Ok(url)) => runtime.block_on(service(Path::new(&dir), &url)),
        _ => runtime.block_on(kill_it_again_and_again()),
    }
}

/// What the child does until it is killed.
async fn service(dir: &Path, url: &str) {
    let _app = savings(Store::embedded(dir).unwrap(), consumer(url)).start().await.unwrap();
    std::future::pending::<()>().await;
}

async fn kill_it_again_and_again() {
    let (mut server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let giro = giro(Store::memory(), publisher(&server.url())).start().await.unwrap();
    send(&giro, 1, TRANSFERS).await;
    within("everything to be published", giro.relays().first().unwrap().drained()).await.unwrap();
    giro.shutdown().await.unwrap();

    let all = u64::try_from(TRANSFERS).unwrap();
    let mut killed_in_mid_flight = 0;
    for kill in 1..=KILLS {
        let mut child = Consuming::start(dir.path(), &server);
        acknowledged(&mut child, &server, kill * all / (KILLS + 2)).await;
        if kill % 3 == 0 {
            server.kill();
            child.kill();
            server.restart().await;
        } else {
            child.kill();
        }
        killed_in_mid_flight += u64::from(floor(&server).await < all);
        if kill == KILLS / 2 {
            durable(&server).await.reset(Some(1)).await.unwrap();
        }
    }
    assert!(killed_in_mid_flight > KILLS / 2, "only {killed_in_mid_flight} of {KILLS} kills came before the end");
    let mut last = Consuming::start(dir.path(), &server);
    acknowledged(&mut last, &server, all).await;
    last.kill();

    let audit = savings(Store::embedded(dir.path()).unwrap(), consumer("nats://127.0.0.1:1")).start().await.unwrap();
    assert_received(&audit, TRANSFERS).await;
    audit.shutdown().await.unwrap();
}

/// Waits until the service has acknowledged everything up to the message number `goal`.
async fn acknowledged(child: &mut Consuming, server: &Server, goal: u64) {
    within("messages to be acknowledged", async {
        while floor(server).await < goal {
            assert!(child.is_running(), "the service must not end by itself");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

async fn durable(server: &Server) -> PullConsumer {
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    context.get_stream(GIRO).await.unwrap().get_consumer(SAVINGS).await.unwrap()
}

/// Up to which message everything is acknowledged.
async fn floor(server: &Server) -> u64 {
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    match context.get_stream(GIRO).await.unwrap().consumer_info(SAVINGS).await {
        Ok(info) => info.ack_floor.stream_sequence,
        Err(_) => 0,
    }
}

/// The service as a process; killed at the end.
struct Consuming(Child);

impl Consuming {
    fn start(dir: &Path, server: &Server) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "a_service_killed_in_mid_flight_takes_each_message_in_once_and_in_order"]);
        command.env(DIR, dir).env(URL, server.url()).stdin(Stdio::null()).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// With SIGKILL.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Consuming {
    fn drop(&mut self) {
        self.kill();
    }
}
