//! How many messages a second a relay publishes to a nats-server on this machine, by the size of its windows.
//!
//! `cargo run --release -p annalist-nats --example throughput [messages]`; the server is that of `make tools`.

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use annalist::outbox::{Outbox, RelayOptions};
use annalist_memory::MemoryStore;
use annalist_nats::{Jetstream, JetstreamOptions};
use comfy_table::Table;
use support::{STREAM, Server, place_orders, public};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
async fn main() {
    let messages = std::env::args().nth(1).map_or(100_000, |messages| messages.parse().expect("a number"));
    let log = MemoryStore::new();
    place_orders(&log, 1, messages).await;
    let mut table = Table::new();
    table.set_header(["window", "duplicate window", "messages/s"]);
    for duplicate_window in [Duration::from_secs(5), Duration::from_mins(2)] {
        for window in [1, 16, 64, 256, 512, 1000, 4000] {
            let some = messages.min(window as u64 * 5_000);
            let per_second = run(&log, some, window, duplicate_window).await;
            table.add_row([window.to_string(), format!("{duplicate_window:?}"), format!("{per_second:.0}")]);
        }
    }
    println!("{table}");
}

/// Publishes the first `messages` of the log, or a few more, to a new server; the rate without start and end.
async fn run(log: &MemoryStore, messages: u64, window: usize, duplicate_window: Duration) -> f64 {
    let server = Server::start().await;
    let mut options = RelayOptions::default();
    options.window_messages_max = window;
    let mut jetstream = JetstreamOptions::default();
    jetstream.duplicate_window = duplicate_window;
    let publisher = Jetstream::at(server.url()).stream(STREAM).options(jetstream);
    let relay = Outbox::new(publisher).map(public).options(options).start(Arc::new(log.clone()), Arc::new(log.clone()));
    let mut watch = relay.watch();
    watch.wait_for(|status| status.published > 0).await.expect("the relay runs");
    let (from, begun) = (relay.status().published, Instant::now());
    watch.wait_for(|status| status.published >= messages).await.expect("the relay runs");
    let (published, seconds) = (relay.status().published - from, begun.elapsed().as_secs_f64());
    relay.shutdown().await;
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let per_second = published as f64 / seconds;
    per_second
}
