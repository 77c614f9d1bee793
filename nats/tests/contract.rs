//! The publisher and the consumer keep to the contracts of all publishers and consumers.

mod support;

use annalist::{inbox, outbox::contract};
use annalist_nats::{Jetstream, JetstreamConsumer};
use support::{STREAM, Server, within};

#[tokio::test]
async fn jetstream_keeps_to_the_contract() {
    let server = Server::start().await;
    within("the contract", contract::all(|| Jetstream::at(server.url()).stream(STREAM))).await;
}

#[tokio::test]
async fn the_consumer_keeps_to_the_contract() {
    let server = Server::start().await;
    let consumer = || JetstreamConsumer::at(server.url()).stream(STREAM).context("billing");
    let publisher = Jetstream::at(server.url()).stream(STREAM);
    let dead_letters = consumer().dead_letters(inbox::contract::INBOX);
    Box::pin(within("the contract", inbox::contract::all(publisher, consumer, &dead_letters))).await;
}
