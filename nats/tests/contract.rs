//! The publisher keeps to the contract of all publishers.

mod support;

use annalist::outbox::contract;
use annalist_nats::Jetstream;
use support::{STREAM, Server, within};

#[tokio::test]
async fn jetstream_keeps_to_the_contract() {
    let server = Server::start().await;
    within("the contract", contract::all(|| Jetstream::at(server.url()).stream(STREAM))).await;
}
