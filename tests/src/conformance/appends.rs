//! What an append answers, and what comes out of what went in.

use annalist_core::{
    Append, ContentType, Cursor, Delivery, EVENT_TAGS_MAX, EventId, EventType, Expected, Metadata, NAME_BYTES_MAX,
    NewEvent, Position, Read, RecordedEvent, StreamId, TYPE_BYTES_MAX, Tag, Version,
};

use super::{
    Store,
    support::{
        append, at, event, events, follow, head, key, numbers, positions, read, stream, version, versions, whole_log,
        whole_stream,
    },
};

pub async fn a_new_store_is_empty(store: &Store) {
    let head = head(store).await;
    assert_eq!(head.position, Position::ZERO);
    assert_eq!(whole_log(store).await, []);
    assert_eq!(read(store, Read::all_backward(Position::MAX)).await, []);
    assert_eq!(whole_stream(store, "nothing-1").await, []);
    assert_eq!(read(store, Read::stream_backward(stream("nothing-1"), Version::MAX)).await, []);
    assert_eq!(store.outcome(&key("never used")).await.expect("keys can be looked up"), None);
    let first = follow(store, Cursor::START).await.next().await;
    assert_eq!(first, Ok(Delivery::CaughtUp(head)));
}

pub async fn the_answer_says_where_the_events_stand(store: &Store) {
    let first = append(store, Append::new().events(stream("a-1"), Expected::Any, events(1..=3))).await;
    assert_eq!((first.after, first.cursor.position, first.repeated), (at(0), at(3), false));
    assert_eq!(first.streams, [(stream("a-1"), version(3))]);
    let second = append(store, Append::new().events(stream("a-1"), Expected::Any, events(4..=5))).await;
    assert_eq!((second.after, second.cursor.position, second.repeated), (at(3), at(5), false));
    assert_eq!(second.streams, [(stream("a-1"), version(5))]);
    assert_eq!(second.cursor, head(store).await);
    assert_eq!(first.cursor, second.cursor.at(at(3)), "all cursors of a store differ in their positions alone");
}

pub async fn versions_count_each_stream_and_positions_the_log(store: &Store) {
    for number in 1..=12 {
        let name = format!("round-{}", number % 3);
        append(store, Append::new().events(stream(&name), Expected::Any, [event(number)])).await;
    }
    let log = whole_log(store).await;
    assert_eq!(positions(&log), (1..=12).collect::<Vec<_>>());
    assert_eq!(numbers(&log), (1..=12).collect::<Vec<_>>());
    assert_eq!(versions(&log), [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]);
    for (name, expected) in [("round-0", [3, 6, 9, 12]), ("round-1", [1, 4, 7, 10]), ("round-2", [2, 5, 8, 11])] {
        let events = whole_stream(store, name).await;
        assert_eq!(numbers(&events), expected);
        assert_eq!(positions(&events), expected);
        assert_eq!(versions(&events), [1, 2, 3, 4]);
        assert!(events.iter().all(|event| event.stream() == name));
    }
}

fn full_metadata() -> Metadata {
    let text = |value: &str| Some(value.to_owned());
    Metadata {
        correlation_id: text("correlation"),
        causation_id: text("causation"),
        actor: text("Zoë"),
        tenant: text(""),
        traceparent: text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        tracestate: text("vendor=value"),
        pairs: [("one", "1"), ("", "an empty name"), ("zero", "a\0b")].map(|(a, b)| (a.into(), b.into())).into(),
    }
}

pub async fn an_event_comes_back_as_it_went_in(store: &Store) {
    let tag = |value: &str| Tag::new(value).expect("a valid tag");
    let full = NewEvent::new(
        EventId::generate(),
        EventType::versioned("filled-in", 7).expect("a valid type"),
        vec![0, 159, 146, 150],
    )
    .with_tags([tag("z:last"), tag("a:first"), tag("z:last")])
    .with_metadata(full_metadata())
    .with_content_type(ContentType::new("application/x-odd; charset=none").expect("a valid content type"));
    let bare = NewEvent::new(EventId::generate(), EventType::new("bare").expect("a valid type"), "");
    let sent = [full, bare];
    append(store, Append::new().events(stream("kept-1"), Expected::NoStream, sent.clone())).await;
    for found in [whole_log(store).await, whole_stream(store, "kept-1").await] {
        assert_eq!(found.len(), sent.len());
        for (found, sent) in found.iter().zip(&sent) {
            assert_eq!(found.id, sent.id);
            assert_eq!((found.stream(), found.category()), ("kept-1", "kept"));
            assert_eq!((found.type_name(), found.type_version()), (sent.event_type.name(), sent.event_type.version()));
            assert_eq!(found.content_type(), sent.content_type.as_str());
            assert!(found.tags().eq(sent.tags.iter().map(Tag::as_str)), "the tags of {found:?}");
            assert_eq!(found.metadata(), sent.metadata);
            assert_eq!(found.payload(), sent.payload);
            assert!(!found.is_system());
        }
    }
}

pub async fn names_are_text_in_any_script_and_of_any_allowed_length(store: &Store) {
    let names = [
        "Konto-Ärger €5".to_owned(),
        "счёт-42".to_owned(),
        "口座-𝟚".to_owned(),
        "n".repeat(NAME_BYTES_MAX),
        "x".into(),
    ];
    let event_type = EventType::new("t".repeat(TYPE_BYTES_MAX)).expect("a valid type");
    let tags: Vec<Tag> = (0..EVENT_TAGS_MAX)
        .map(|number| Tag::new(format!("{number:0NAME_BYTES_MAX$}")).expect("a valid tag"))
        .collect();
    for name in &names {
        let event = NewEvent::new(EventId::generate(), event_type.clone(), "{}").with_tags(tags.clone());
        append(store, Append::new().events(stream(name), Expected::NoStream, [event])).await;
    }
    let log = whole_log(store).await;
    assert!(log.iter().map(RecordedEvent::stream).eq(names.iter().map(String::as_str)));
    for (name, recorded) in names.iter().zip(&log) {
        let found = whole_stream(store, name).await;
        assert_eq!(found.as_slice(), std::slice::from_ref(recorded), "the stream {name}");
        assert_eq!(recorded.type_name(), event_type.name());
        assert!(recorded.tags().eq(tags.iter().map(Tag::as_str)));
    }
}

pub async fn a_stream_is_not_mixed_up_with_those_whose_names_begin_alike(store: &Store) {
    let names = ["a", "a-", "a-1", "a-10", "a-1-0", "a-2", "A-1", "a ", "a-1é", "b"];
    for round in 0..3 {
        for (at, name) in (0..).zip(names) {
            let expected = Expected::Exact(version(round));
            append(store, Append::new().events(stream(name), expected, [event(10 * round + at)])).await;
        }
    }
    for (at, name) in (0..).zip(names) {
        let found = whole_stream(store, name).await;
        assert_eq!(numbers(&found), [at, 10 + at, 20 + at], "the stream {name}");
        assert_eq!(versions(&found), [1, 2, 3]);
    }
    assert_eq!(read(store, Read::stream(StreamId::new("a-").expect("a name"), version(3))).await, []);
}

pub async fn time_does_not_go_backwards(store: &Store) {
    for number in 0..50 {
        append(store, Append::new().events(stream("clock-1"), Expected::Any, [event(number)])).await;
    }
    let log = whole_log(store).await;
    assert_eq!(log.len(), 50);
    assert!(log.is_sorted_by_key(|event| event.time), "recorded times are in the order of positions");
}

pub async fn what_is_acknowledged_is_readable_at_once(store: &Store) {
    for number in 1..=50 {
        let name = format!("fresh-{}", number % 7);
        let appended = append(store, Append::new().events(stream(&name), Expected::Any, [event(number)])).await;
        assert!(head(store).await.position >= appended.cursor.position);
        let newest = read(store, Read::all_backward(Position::MAX).limit(1)).await;
        assert_eq!(numbers(&newest), [number]);
        let newest = read(store, Read::stream_backward(stream(&name), Version::MAX).limit(1)).await;
        assert_eq!(numbers(&newest), [number]);
        let behind = read(store, Read::all(appended.after)).await;
        assert_eq!(numbers(&behind), [number]);
    }
}
