//! A relay against three brokers that replicate the stream: one of them may die at any time.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

mod support;

use std::{sync::Arc, time::Duration};

use annalist::{
    inbox,
    outbox::{Outbox, Publisher, contract},
};
use annalist_memory::MemoryStore;
use annalist_nats::{Jetstream, JetstreamConsumer, JetstreamOptions};
use support::{STREAM, Server, assert_holds_orders, drained, hasty, place_orders, public, until, within};

async fn cluster() -> ([Server; 3], String) {
    let mut servers = Server::reserve_cluster();
    for server in &mut servers {
        server.restart().await;
    }
    let url = servers.each_ref().map(Server::url).join(",");
    within("the cluster to have a leader", async {
        while jetstream(&url).resume().await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    (servers, url)
}

fn replicated() -> JetstreamOptions {
    let mut options = JetstreamOptions::default();
    options.replicas = 3;
    options
}

fn jetstream(url: &str) -> Jetstream {
    Jetstream::at(url).stream(STREAM).options(replicated())
}

/// The server that leads the stream.
async fn leader(url: &str) -> String {
    let client = async_nats::connect(url.split(',').collect::<Vec<_>>()).await.unwrap();
    let stream = async_nats::jetstream::new(client).get_stream(STREAM).await.unwrap();
    stream.cached_info().cluster.as_ref().unwrap().leader.clone().unwrap()
}

#[tokio::test]
async fn a_replicated_stream_keeps_to_the_contract() {
    let (_servers, url) = cluster().await;
    within("the contract", contract::all(|| jetstream(&url))).await;
}

#[tokio::test]
async fn a_consumer_of_a_replicated_stream_keeps_to_the_contract() {
    let (_servers, url) = cluster().await;
    let consumer = || JetstreamConsumer::at(&url).stream(STREAM).context("billing").options(replicated());
    let dead_letters = consumer().dead_letters(inbox::contract::INBOX);
    Box::pin(within("the contract", inbox::contract::all(jetstream(&url), consumer, &dead_letters))).await;
}

#[tokio::test]
async fn a_leader_killed_under_load_loses_nothing_and_stores_nothing_twice() {
    let (mut servers, url) = cluster().await;
    let log = Arc::new(MemoryStore::new());
    let relay = Outbox::new(jetstream(&url)).map(public).options(hasty()).start(log.clone(), log.clone());
    for first in [1, 3_001] {
        place_orders(&*log, first, first + 2_999).await;
        until(&relay, "publishing under way", |status| status.published >= first + 300).await;
        let leader = leader(&url).await;
        let killed = servers.iter_mut().find(|server| server.name() == Some(&leader)).unwrap();
        killed.kill();
        drained(&relay).await;
        killed.restart().await;
    }
    assert_holds_orders(&url, 6_000).await;
}
