//! Consumer groups, by the client.

use std::{collections::BTreeMap, time::Duration};

use annalist_client::{GroupDelivery, GroupMember, GroupOptions, RemoteStore};
use annalist_core::{
    Append, Checkpoints as _, EventId, EventStore as _, EventType, Expected, NewEvent, Position, Query, StoreError,
    StreamId,
};

use crate::support::{Process, curl};

fn connect(server: &Process) -> RemoteStore {
    RemoteStore::connect(&server.address).expect("the address of a server")
}

async fn append(store: &RemoteStore, streams: &[&str]) {
    for stream in streams {
        let event = NewEvent::new(EventId::generate(), EventType::new("placed").expect("a valid type"), "{}");
        let stream = StreamId::new((*stream).to_owned()).expect("a valid name");
        store.append(Append::new().events(stream, Expected::Any, [event])).await.expect("it is recorded");
    }
}

fn options() -> GroupOptions {
    let mut options = GroupOptions::default();
    options.attempts_max = 2;
    options
}

fn member(store: &RemoteStore) -> GroupMember {
    store.group("shipping", Query::category("order"), &options())
}

fn place(delivery: &GroupDelivery) -> (String, u64, u32) {
    (delivery.event().stream().to_owned(), delivery.event().version.get(), delivery.attempt())
}

/// The status of the group, once it is so.
async fn until(store: &RemoteStore, so: impl Fn(u64, u64, u64) -> bool) {
    loop {
        let (status, _) = store.group_status("shipping").await.expect("it can be told");
        if so(status.lag(), status.open, status.parked) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn members_share_the_events_and_streams_keep_their_order() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Process::start(dir.path());
    let store = connect(&server);
    for _ in 0..10 {
        append(&store, &["order-1", "order-2", "other-1", "order-3", "order-4"]).await;
    }
    let (mut first, mut second) = (member(&store), member(&store));
    let mut next: BTreeMap<String, u64> = BTreeMap::new();
    let mut seen = |delivery: &GroupDelivery| {
        let (stream, version, attempt) = place(delivery);
        let next = next.entry(stream).or_insert(1);
        assert_eq!((version, attempt), (*next, 1), "each comes once, in order");
        *next += 1;
    };
    // Two that take turns, each with one in hand: both must get some.
    let mut shares = (0, 0);
    for _ in 0..40 {
        tokio::select! {
            delivery = first.next() => {
                let delivery = delivery.expect("an event");
                seen(&delivery);
                shares.0 += 1;
                delivery.ack().await;
            }
            delivery = second.next() => {
                let delivery = delivery.expect("an event");
                seen(&delivery);
                shares.1 += 1;
                delivery.ack().await;
            }
        }
    }
    assert_eq!(shares.0 + shares.1, 40);
    until(&store, |lag, open, parked| (lag, open, parked) == (0, 0, 0)).await;
    append(&store, &["order-9"]).await;
    let delivery = tokio::select! { one = first.next() => one, other = second.next() => other }.expect("an event");
    assert_eq!(place(&delivery), ("order-9".to_owned(), 1, 1), "what is recorded later comes too");
}

#[tokio::test]
async fn what_fails_too_often_is_parked_until_a_person_decides() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Process::start(dir.path());
    let store = connect(&server);
    append(&store, &["order-1", "order-1", "order-2"]).await;
    let mut member = member(&store);
    let mut ahead = Vec::new();
    for attempt in 1..=2 {
        loop {
            let delivery = member.next().await.expect("an event");
            if delivery.event().stream() == "order-2" {
                ahead.push(delivery);
                continue;
            }
            assert_eq!(place(&delivery), ("order-1".to_owned(), 1, attempt));
            delivery.nack(Duration::from_millis(1), "the address is unreadable").await;
            break;
        }
    }
    until(&store, |_, _, parked| parked == 1).await;
    let (status, parked) = store.group_status("shipping").await.expect("it can be told");
    assert_eq!((status.members, status.behind, parked.len()), (1, 1, 1));
    let found = parked.first().expect("one is parked");
    assert_eq!((found.position, found.attempts, found.stream.as_str()), (Position::new(1), 2, "order-1"));
    assert_eq!((found.reason.as_str(), found.behind), ("the address is unreadable", 1));
    // It is kept: a new server knows.
    for delivery in ahead {
        delivery.ack().await;
    }
    assert_eq!(store.replay_parked("shipping", Some(Position::new(2))).await.expect("asked"), 0, "it is not parked");
    assert_eq!(store.replay_parked("shipping", Some(Position::new(1))).await.expect("asked"), 1);
    let delivery = loop {
        let delivery = member.next().await.expect("an event");
        if delivery.event().stream() == "order-1" {
            break delivery;
        }
    };
    assert_eq!(place(&delivery), ("order-1".to_owned(), 1, 1), "as if for the first time");
    delivery.nack(Duration::ZERO, "still").await;
    let delivery = member.next().await.expect("an event");
    assert_eq!(place(&delivery), ("order-1".to_owned(), 1, 2));
    delivery.nack(Duration::ZERO, "still").await;
    until(&store, |_, _, parked| parked == 1).await;
    assert_eq!(store.skip_parked("shipping", None).await.expect("asked"), 1);
    let delivery = member.next().await.expect("an event");
    assert_eq!(place(&delivery), ("order-1".to_owned(), 2, 1), "what was behind it comes");
    delivery.ack().await;
    until(&store, |lag, open, parked| (lag, open, parked) == (0, 0, 0)).await;
}

#[tokio::test]
async fn what_a_member_had_goes_to_others_also_after_a_kill() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut server = Process::start(dir.path());
    let store = connect(&server);
    append(&store, &["order-1", "order-2"]).await;
    let member = |store: &RemoteStore| store.group("shipping", Query::category("order"), &GroupOptions::default());
    let mut gone = member(&store);
    let held = gone.next().await.expect("an event");
    let mut other = member(&store);
    drop(gone);
    let mut found = Vec::new();
    for _ in 0..2 {
        let delivery = other.next().await.expect("an event");
        found.push(delivery.event().position);
        if delivery.event().stream() == "order-1" {
            delivery.ack().await;
        }
    }
    found.sort();
    assert_eq!(found, [Position::new(1), Position::new(2)], "also the one that was held");
    held.ack().await;
    until(&store, |_, open, _| open == 1).await;
    // The server is killed with one event unanswered, and started again elsewhere.
    store.replay_parked("shipping", None).await.expect("whatever was done is kept now");
    _ = server.child.kill();
    _ = server.child.wait();
    let server = Process::start(dir.path());
    let store = connect(&server);
    let delivery = member(&store).next().await.expect("an event");
    assert_eq!(delivery.event().stream(), "order-2");
    assert!(delivery.attempt() > 1, "the attempts before the kill count");
}

#[tokio::test]
async fn a_group_keeps_its_query_and_can_be_removed() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Process::start(dir.path());
    let store = connect(&server);
    append(&store, &["order-1"]).await;
    let delivery = member(&store).next().await.expect("an event");
    drop(delivery);
    let refused = store.group("shipping", Query::all(), &options()).next().await;
    assert!(
        matches!(&refused, Err(StoreError::Invalid(why)) if why.to_string().contains("another query")),
        "{refused:?}"
    );
    let unknown = store.group_status("billing").await;
    assert!(matches!(&unknown, Err(StoreError::Invalid(why)) if why.to_string().contains("billing")), "{unknown:?}");
    let reserved = store.save("$group/shipping", "{}".into()).await;
    assert!(matches!(&reserved, Err(StoreError::Invalid(_))), "{reserved:?}");
    // The server may not have heard yet that its members are gone.
    while let Err(error) = store.remove_group("shipping").await {
        assert!(error.to_string().contains("has members"), "{error}");
    }
    assert_eq!(store.groups().await.expect("asked"), []);
    let mut anew = store.group("shipping", Query::all(), &options());
    assert_eq!(anew.next().await.expect("an event").attempt(), 1, "it begins anew");
}

#[tokio::test]
async fn how_groups_are_is_measured() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Process::start(dir.path());
    let store = connect(&server);
    append(&store, &["order-1", "order-2"]).await;
    let mut member = member(&store);
    let mut held = Vec::new();
    let mut refused = 0;
    while refused < 2 || held.is_empty() {
        let delivery = member.next().await.expect("an event");
        if delivery.event().stream() == "order-1" {
            delivery.nack(Duration::ZERO, "no").await;
            refused += 1;
        } else {
            held.push(delivery);
        }
    }
    let expected = [
        "annalist_group_lag_events{group=\"shipping\"} 0.0",
        "annalist_group_open_events{group=\"shipping\"} 1.0",
        "annalist_group_in_flight_events{group=\"shipping\"} 1.0",
        "annalist_group_parked_events{group=\"shipping\"} 1.0",
        "annalist_group_members{group=\"shipping\"} 1.0",
        "annalist_group_delivered_events_total{group=\"shipping\"} 3",
        "annalist_group_redelivered_events_total{group=\"shipping\"} 1",
    ];
    loop {
        let (status, metrics) = curl(&[&format!("{}/metrics", server.address)]);
        assert_eq!(status, 200, "{metrics}");
        if expected.iter().all(|line| metrics.lines().any(|found| found == *line)) {
            break;
        }
        tokio::task::yield_now().await;
    }
    drop(held);
}

/// What the groups have in memory to hand out, together, in bytes.
fn ready(server: &Process) -> f64 {
    let (status, metrics) = curl(&[&format!("{}/metrics", server.address)]);
    assert_eq!(status, 200, "{metrics}");
    let lines = metrics.lines().filter(|line| line.starts_with("annalist_group_ready_bytes{"));
    lines.map(|line| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a number")).sum()
}

#[tokio::test]
async fn groups_share_the_memory_for_what_they_keep_ready() {
    const MIB: u32 = 1024 * 1024;
    let dir = tempfile::tempdir().expect("a folder");
    let server = Process::start(dir.path());
    let store = connect(&server);
    // More than a group keeps ready by itself, and four groups have of it twice what they may have together.
    let streams: Vec<StreamId> = (0..20).map(|n| StreamId::new(format!("order-{n}")).expect("a valid name")).collect();
    for stream in &streams {
        let payload = serde_json::to_vec(&"e".repeat(1024 * 1024)).expect("it is text");
        let event = NewEvent::new(EventId::generate(), EventType::new("placed").expect("a valid type"), payload);
        store.append(Append::new().events(stream.clone(), Expected::Any, [event])).await.expect("it is recorded");
    }
    let mut one_at_a_time = GroupOptions::default();
    one_at_a_time.in_flight_max = 1;
    let names = ["shipping", "billing", "mails", "reports"];
    let mut members = Vec::new();
    for name in names {
        let mut member = store.group(name, Query::category("order"), &one_at_a_time);
        let first = member.next().await.expect("an event");
        members.push((member, first));
    }
    // They read ahead, while each member has one in hand.
    while ready(&server) < f64::from(32 * MIB) {
        tokio::task::yield_now().await;
    }
    // One batch may be under way for each when the bound is met, and one is what a group has in any case.
    let most = f64::from((32 + 2 * 4) * MIB);
    for (mut member, mut delivery) in members {
        for (number, stream) in streams.iter().enumerate() {
            assert_eq!((delivery.event().stream(), delivery.attempt()), (stream.as_str(), 1));
            assert!(ready(&server) < most, "{} bytes are ready", ready(&server));
            delivery.ack().await;
            if number + 1 == streams.len() {
                break;
            }
            delivery = member.next().await.expect("an event");
        }
    }
    let all = store.groups().await.expect("they can be told");
    assert!(all.iter().all(|group| group.lag() == 0), "none was left without: {all:?}");
}
