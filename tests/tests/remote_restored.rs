//! A server whose store was restored from a backup: its consumer groups, and clients that are connected all the time.

#[path = "../shared/restoring.rs"]
mod restoring;

use std::{path::Path, time::Duration};

use annalist_client::{GroupMember, GroupOptions, RemoteOptions, RemoteStore};
use annalist_core::{
    Append, Cursor, Delivery, EventId, EventStore as _, EventType, Expected, Fingerprint, Key, NewEvent, Position,
    Query, StoreError, StreamId, Subscription,
};
use restoring::{back_up_closed, restore};
use tests::subjects::{ServerProcess, in_ram};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_mins(1);

fn start(data: &Path, listen: &str) -> ServerProcess {
    ServerProcess::start(env!("CARGO_BIN_EXE_store_server"), data, listen)
}

fn connect(server: &ServerProcess) -> RemoteStore {
    let mut options = RemoteOptions::default();
    options.call_timeout = PATIENCE;
    RemoteStore::connect_with(server.address(), options).expect("the address of a server")
}

/// Records so many events, each in a stream of its own, and tells the cursor of the last.
async fn append(store: &RemoteStore, count: u64) -> Cursor {
    let mut last = Cursor::START;
    for _ in 0..count {
        let id = EventId::generate();
        let event = NewEvent::new(id, EventType::new("placed").expect("a type"), "{}");
        let stream = StreamId::of("order", id).expect("a name");
        // With a key a client repeats it until it knows.
        let key = Key::new("orders", id.to_string()).expect("a key");
        let append = Append::new().events(stream, Expected::Any, [event]);
        let appended = store.append(append.keyed(key, Fingerprint::new([1; 16]), "")).await;
        last = appended.expect("it is recorded").cursor;
    }
    last
}

fn member(store: &RemoteStore, after: Cursor) -> GroupMember {
    let mut options = GroupOptions::default();
    options.after = after;
    store.group("shipping", Query::category("order"), &options)
}

/// Takes so many events and settles them. Returns their positions.
async fn take(member: &mut GroupMember, count: usize) -> Vec<u64> {
    let mut positions = Vec::new();
    while positions.len() < count {
        let delivery = timeout(PATIENCE, member.next()).await.expect("an event comes").expect("it is handed out");
        positions.push(delivery.event().position.get());
        delivery.ack().await;
    }
    positions.sort_unstable();
    positions
}

async fn settled(store: &RemoteStore) {
    let settled = async {
        loop {
            let groups = store.groups().await.expect("they can be told");
            if groups.iter().all(|group| (group.lag(), group.open) == (0, 0)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, settled).await.expect("the group settles all");
}

/// What a subscription that reconnects by itself comes to.
async fn end_of(mut subscription: Box<dyn Subscription>) -> StoreError {
    timeout(PATIENCE, async {
        loop {
            match subscription.next().await {
                Ok(Delivery::Events(_) | Delivery::CaughtUp(_) | Delivery::Checkpoint(_)) => {}
                Err(error) => return error,
            }
        }
    })
    .await
    .expect("it ends")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_goes_on_behind_the_backup_and_a_client_that_has_seen_more_is_told() {
    let folder = in_ram();
    let (data, backups) = (folder.path().join("data"), folder.path().join("backups"));
    let mut server = start(&data, "127.0.0.1:0");
    let listen = server.listen().to_owned();
    let store = connect(&server);
    append(&store, 30).await;
    let mut shipping = member(&store, Cursor::START);
    assert_eq!(take(&mut shipping, 30).await, (1..=30).collect::<Vec<_>>());
    settled(&store).await;
    assert!(server.terminate().success());
    let end = back_up_closed(&data, &backups).await;
    assert_eq!(end, Position::new(30));

    server = start(&data, &listen);
    let subscription = store.subscribe(Query::all(), Cursor::START).await.expect("it begins");
    append(&store, 10).await;
    assert_eq!(take(&mut shipping, 10).await, (31..=40).collect::<Vec<_>>());
    let mut behind = store.subscribe(Query::all(), Cursor::START).await.expect("it begins");
    while timeout(PATIENCE, behind.next()).await.expect("it goes on").expect("it goes on").cursor_position() < 40 {}
    // The member is at work, and has one that it has not settled, when the server dies.
    append(&store, 1).await;
    let held = timeout(PATIENCE, shipping.next()).await.expect("an event comes").expect("it is handed out");
    server.kill();
    restore(&backups, &data, None);

    server = start(&data, &listen);
    let lost = end_of(behind).await;
    assert!(
        matches!(lost, StoreError::ForeignCursor { cursor, .. } if cursor.position >= Position::new(40)),
        "{lost:?}"
    );
    drop(subscription);
    // An answer about what is lost settles nothing else.
    held.ack().await;
    append(&store, 25).await;
    assert_eq!(take(&mut shipping, 25).await, (31..=55).collect::<Vec<_>>(), "each of the new ones once");
    settled(&store).await;
    // What the group noted since is good in the next life too.
    assert!(server.terminate().success());
    server = start(&data, &listen);
    append(&store, 1).await;
    assert_eq!(take(&mut shipping, 1).await, [56]);
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_has_taken_in_what_was_lost_says_so_and_is_made_anew() {
    let folder = in_ram();
    let (data, backups) = (folder.path().join("data"), folder.path().join("backups"));
    let mut server = start(&data, "127.0.0.1:0");
    let listen = server.listen().to_owned();
    let store = connect(&server);
    append(&store, 30).await;
    let mut shipping = member(&store, Cursor::START);
    take(&mut shipping, 30).await;
    settled(&store).await;
    drop(shipping);
    assert!(server.terminate().success());
    back_up_closed(&data, &backups).await;
    // No backup before this position has notes.
    restore(&backups, &data, Some(Position::new(10)));

    server = start(&data, &listen);
    let head = append(&store, 40).await;
    let refused = timeout(PATIENCE, member(&store, Cursor::START).next()).await.expect("an answer").err();
    let Some(StoreError::Invalid(why)) = refused else { panic!("{refused:?}") };
    let said = why.to_string();
    assert!(
        said.starts_with("the group `shipping` has taken in events up to ") && said.contains(&head.to_string()),
        "{said}"
    );
    assert!(said.ends_with("remove it (`annalist groups remove`), and its next member makes it anew"), "{said}");
    let groups = store.groups().await.expect("they can be told all the same");
    assert_eq!(groups.iter().map(|group| group.problem.as_deref()).collect::<Vec<_>>(), [Some(&*said)]);
    assert_eq!(store.group_status("shipping").await.expect("it can be told").0.problem.as_deref(), Some(&*said));

    store.remove_group("shipping").await.expect("it can be removed");
    let mut anew = member(&store, head.at(Position::new(10)));
    assert_eq!(take(&mut anew, 40).await, (11..=50).collect::<Vec<_>>());
    settled(&store).await;
    assert_eq!(
        store.groups().await.expect("they can be told").iter().filter(|group| group.problem.is_some()).count(),
        0
    );
    drop(server);
}

/// Up to where a delivery goes.
trait Reached {
    fn cursor_position(&self) -> u64;
}

impl Reached for Delivery {
    fn cursor_position(&self) -> u64 {
        match self {
            Self::Events(events) => events.last().map_or(0, |event| event.position.get()),
            Self::CaughtUp(cursor) | Self::Checkpoint(cursor) => cursor.position.get(),
        }
    }
}
