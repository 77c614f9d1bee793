//! Looking after the store of a server, from elsewhere.

use std::{fs, process::Command};

use annalist_client::RemoteStore;
use annalist_core::{
    Append, EventId, EventStore as _, EventType, Expected, ImportError, NewEvent, Part, PastEvent, Position,
    StoreError, StreamId, Timestamp, Version,
};

use crate::support::Process;

async fn filled(store: &RemoteStore) {
    for number in 0..20 {
        let event = NewEvent::new(EventId::generate(), EventType::new("greeted").expect("a valid type"), "{}");
        let stream = StreamId::of("a", number % 4).expect("a valid name");
        store.append(Append::new().events(stream, Expected::Any, [event])).await.expect("it is recorded");
    }
}

#[tokio::test]
async fn damage_is_found_while_the_store_is_served() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data");
    let server = Process::start(&data);
    let store = RemoteStore::connect(&server.address).expect("the address of a server");
    filled(&store).await;
    let mut told = Vec::new();
    let verified = store.verify(Position::ZERO, |progress| told.push(progress)).await.expect("it is verified");
    assert!(verified.is_sound() && verified.through == Position::new(20), "{verified:?}");
    let again = store.verify(Position::new(20), |_| ()).await.expect("it is verified");
    assert_eq!((again.after, again.pages), (Position::new(20), 0));
    let streams = store.streams(Some("a"), Some("a-1"), 2).await.expect("they are told");
    let named = |name: &str| (StreamId::new(name).expect("a valid name"), Version::new(5));
    assert_eq!(streams, [named("a-2"), named("a-3")]);

    // Closed and opened again, so that the log is in a file.
    drop(server);
    let server = Process::start(&data);
    let store = RemoteStore::connect(&server.address).expect("the address of a server");
    for file in fs::read_dir(data.join("log")).expect("it can be listed").filter_map(Result::ok) {
        if file.path().extension().is_some_and(|kind| kind == "sst") {
            let mut bytes = fs::read(file.path()).expect("it can be read");
            if let Some(at) = bytes.windows(7).position(|window| window == b"greeted") {
                bytes[at] ^= 1;
                fs::write(file.path(), bytes).expect("it can be written");
            }
        }
    }
    let damaged = store.verify(Position::ZERO, |_| ()).await.expect("damage is a report");
    assert_eq!(damaged.findings[0].part, Part::Log, "{damaged:?}");
}

#[tokio::test]
async fn backups_go_where_the_server_was_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data");
    let server = Process::start(&data);
    let store = RemoteStore::connect(&server.address).expect("the address of a server");
    match store.backup(None, |_| ()).await {
        Err(StoreError::Invalid(why)) => assert!(why.to_string().contains("--backups"), "{why}"),
        other => panic!("{other:?}"),
    }
    drop(server);
    let mut command = Process::command(&data);
    command.arg("--backups").arg(dir.path().join("backups"));
    let server = Process::run(command);
    let store = RemoteStore::connect(&server.address).expect("the address of a server");
    filled(&store).await;
    for number in 1..=3 {
        let backup = store.backup(Some(2), |_| ()).await.expect("it is made");
        assert_eq!((backup.number, backup.head.position), (number, Position::new(20)));
    }
    let (backups, damaged) = store.backups().await.expect("they are told");
    assert_eq!(backups.iter().map(|backup| backup.number).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(damaged, []);
    fs::write(dir.path().join("backups/000002/BACKUP"), "nonsense").expect("it can be written");
    let (backups, damaged) = store.backups().await.expect("they are told");
    assert_eq!((backups.len(), damaged.len()), (1, 1), "{damaged:?}");
}

#[tokio::test]
async fn an_import_keeps_what_it_is_given_and_says_which_event_it_cannot() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Process::start(&dir.path().join("data"));
    let store = RemoteStore::connect(&server.address).expect("the address of a server");
    let past = |number: u64, version: u64, time: i64| PastEvent {
        stream: StreamId::of("a", number).expect("a valid name"),
        version: Version::new(version),
        time: Timestamp::from_micros(time),
        event: NewEvent::new(EventId::generate(), EventType::new("greeted").expect("a valid type"), "{}"),
    };
    // More streams than fit one message of the usual size, in one go.
    let events: Vec<_> = (0..1000).map(|number| past(number, 1, 5)).collect();
    let imported = store.import(&events).await.expect("they are recorded");
    assert_eq!((imported.recorded, imported.present, imported.head.position), (1000, 0, Position::new(1000)));
    let imported = store.import(&events[500..]).await.expect("they are there");
    assert_eq!((imported.recorded, imported.present), (0, 500));

    let (gap, early, other) = (past(1, 3, 6), past(1, 2, 4), past(1, 1, 5));
    let there = events[1].event.id;
    let stream = gap.stream.clone();
    for (event, why) in [
        (gap, ImportError::Gap { at: 1, stream: stream.clone(), version: Version::new(3), head: Version::new(1) }),
        (early, ImportError::Time { at: 1, time: Timestamp::from_micros(4), after: Timestamp::from_micros(5) }),
        (other, ImportError::Taken { at: 1, stream, version: Version::new(1), there }),
    ] {
        let error = store.import(&[events[0].clone(), event]).await.expect_err("it cannot be");
        assert_eq!(error, why);
    }
    assert_eq!(store.head().await.expect("it is known").position, Position::new(1000), "nothing of them is recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_in_pieces_is_few_lines_of_the_audit_log_that_add_up() {
    let dir = tempfile::tempdir().expect("a folder");
    let audit = dir.path().join("audit");
    let mut command = Process::command(&dir.path().join("data"));
    command.env("ANNALIST_AUDIT", &audit);
    let mut server = Process::run(command);
    let store = RemoteStore::connect(&server.address).expect("the address of a server");
    let past = |number: u64| PastEvent {
        stream: StreamId::of("a", number).expect("a valid name"),
        version: Version::new(1),
        time: Timestamp::from_micros(5),
        event: NewEvent::new(EventId::generate(), EventType::new("greeted").expect("a valid type"), "{}"),
    };
    let events: Vec<_> = (0..500).map(past).collect();
    for piece in events.chunks(5).chain(events.chunks(50)) {
        store.import(piece).await.expect("they are recorded, or there");
    }
    // Its connection would be waited for.
    drop(store);
    let ended = Command::new("kill").arg(server.child.id().to_string()).status().expect("it can be told to end");
    assert!(ended.success() && server.child.wait().expect("it ends").success());
    let text = fs::read_to_string(&audit).expect("it is written");
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let sums = ["pieces", "recorded", "present"]
        .map(|name| lines.iter().map(|line| line[name].as_u64().expect("a number")).sum::<u64>());
    assert_eq!(sums, [110, 500, 500]);
    assert_eq!(lines[0]["pieces"], 1, "it is told that it begins");
    // A machine that is very busy may take minutes for it.
    assert!(lines.len() < 20, "{text}");
}
