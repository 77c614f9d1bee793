//! What is refused before anything else, and what is just allowed.

use annalist_core::{
    APPEND_BYTES_MAX, APPEND_ENTRIES_MAX, APPEND_EVENTS_MAX, Append, AppendError, EVENT_TAGS_MAX, EventId, EventType,
    Expected, Invalid, METADATA_BYTES_MAX, Metadata, NewEvent, OUTCOME_BYTES_MAX, PAYLOAD_BYTES_MAX, StreamId, Tag,
};

use super::{
    Store,
    support::{append, event, events, fingerprint, key, refusal, stream, version, whole_log, whole_stream},
};

fn with_payload(bytes: usize) -> NewEvent {
    NewEvent { payload: vec![b'p'; bytes].into(), ..event(0) }
}

fn with_metadata(value_bytes: usize) -> NewEvent {
    event(0).with_metadata(Metadata { actor: Some("m".repeat(value_bytes)), ..Metadata::default() })
}

fn one(event: NewEvent) -> Append {
    Append::new().events(stream("a-1"), Expected::Any, [event])
}

/// What a metadata field costs beside its value: its number and its length.
const FIELD_HEAD_BYTES: usize = 3;

async fn assert_too_large(store: &Store, append: Append, expected: (usize, usize)) {
    match refusal(store, append).await {
        AppendError::TooLarge { actual, limit, .. } => assert_eq!((actual, limit), expected),
        other => panic!("expected that it is too large: {other:?}"),
    }
    assert_eq!(whole_log(store).await, [], "what is refused is not recorded");
}

async fn assert_invalid(store: &Store, append: Append, expected: Invalid) {
    assert_eq!(refusal(store, append).await, AppendError::Invalid(expected));
    assert_eq!(whole_log(store).await, [], "what is refused is not recorded");
}

pub async fn an_empty_append_is_refused(store: &Store) {
    assert_invalid(store, Append::new(), Invalid::EmptyAppend).await;
}

pub async fn what_is_reserved_for_the_store_is_refused(store: &Store) {
    let system = StreamId::system();
    let reserved = Invalid::Reserved { what: "stream", value: system.to_string() };
    let written = Append::new().events(system.clone(), Expected::Any, [event(1)]);
    assert_invalid(store, written, reserved.clone()).await;
    assert_invalid(store, Append::new().guard(system, Expected::Any), reserved).await;
    let reserved = Invalid::Reserved { what: "event type", value: "$commit".to_owned() };
    assert_invalid(store, one(NewEvent::new(EventId::generate(), EventType::system(), "")), reserved).await;
    let pairs = [("a\0b".to_owned(), "c".to_owned())].into();
    match refusal(store, one(event(1).with_metadata(Metadata { pairs, ..Metadata::default() }))).await {
        AppendError::Invalid(Invalid::ControlCharacter { .. }) => {}
        other => panic!("expected that the name of a pair is refused: {other:?}"),
    }
}

pub async fn too_many_events_are_refused(store: &Store) {
    let count = APPEND_EVENTS_MAX as u64;
    let many = Append::new().events(stream("a-1"), Expected::Any, events(0..count)).events(
        stream("b-1"),
        Expected::Any,
        [event(count)],
    );
    assert_too_large(store, many, (APPEND_EVENTS_MAX + 1, APPEND_EVENTS_MAX)).await;
}

pub async fn too_many_entries_are_refused(store: &Store) {
    let many = (0..=APPEND_ENTRIES_MAX)
        .fold(Append::new(), |append, number| append.guard(stream(&format!("a-{number}")), Expected::Any));
    assert_too_large(store, many, (APPEND_ENTRIES_MAX + 1, APPEND_ENTRIES_MAX)).await;
}

pub async fn too_large_an_event_is_refused(store: &Store) {
    let large = one(with_payload(PAYLOAD_BYTES_MAX + 1));
    assert_too_large(store, large, (PAYLOAD_BYTES_MAX + 1, PAYLOAD_BYTES_MAX)).await;
    let large = one(with_metadata(METADATA_BYTES_MAX - FIELD_HEAD_BYTES + 1));
    assert_too_large(store, large, (METADATA_BYTES_MAX + 1, METADATA_BYTES_MAX)).await;
    let tags = (0..=EVENT_TAGS_MAX).map(|number| Tag::new(number.to_string()).expect("a valid tag"));
    assert_too_large(store, one(event(1).with_tags(tags)), (EVENT_TAGS_MAX + 1, EVENT_TAGS_MAX)).await;
}

pub async fn too_large_an_append_is_refused(store: &Store) {
    let half = || with_payload(APPEND_BYTES_MAX / 2);
    let large = Append::new().events(stream("a-1"), Expected::Any, [half(), half()]);
    let bytes = large.byte_count();
    assert!(bytes > APPEND_BYTES_MAX, "names count too");
    assert_too_large(store, large, (bytes, APPEND_BYTES_MAX)).await;
}

pub async fn too_large_a_reply_is_refused(store: &Store) {
    let reply = vec![0; OUTCOME_BYTES_MAX + 1];
    let large = one(event(1)).keyed(key("k"), fingerprint(1), reply);
    assert_too_large(store, large, (OUTCOME_BYTES_MAX + 1, OUTCOME_BYTES_MAX)).await;
    assert_eq!(store.outcome(&key("k")).await.expect("keys can be looked up"), None);
}

pub async fn what_is_just_allowed_is_recorded(store: &Store) {
    append(store, one(with_payload(PAYLOAD_BYTES_MAX))).await;
    append(store, one(with_metadata(METADATA_BYTES_MAX - FIELD_HEAD_BYTES))).await;
    let many = events(0..APPEND_EVENTS_MAX as u64);
    append(store, Append::new().events(stream("many-events"), Expected::NoStream, many)).await;
    let wide = (0..APPEND_ENTRIES_MAX).fold(Append::new(), |append, number| {
        append.events(stream(&format!("wide-{number}")), Expected::NoStream, [event(number)])
    });
    append(store, wide).await;
    // Two events that fill an append to the last byte.
    let mut full = Append::new().events(stream("full-1"), Expected::Any, [with_payload(PAYLOAD_BYTES_MAX), event("")]);
    let rest = APPEND_BYTES_MAX - full.byte_count();
    if let Some(last) = full.entries.last_mut().and_then(|entry| entry.events.last_mut()) {
        last.payload = vec![b'r'; rest].into();
    }
    assert_eq!(full.byte_count(), APPEND_BYTES_MAX);
    append(store, full).await;
    assert_eq!(whole_log(store).await.len(), 2 + APPEND_EVENTS_MAX + APPEND_ENTRIES_MAX + 2);
    let lengths = |events: &[annalist_core::RecordedEvent]| -> Vec<usize> {
        events.iter().map(|event| event.payload().len()).collect()
    };
    assert_eq!(lengths(&whole_stream(store, "full-1").await), [PAYLOAD_BYTES_MAX, rest]);
    let first = whole_stream(store, "a-1").await;
    assert_eq!(lengths(&first), [PAYLOAD_BYTES_MAX, 1]);
    let actor = first.last().and_then(|event| event.metadata().actor);
    assert_eq!(actor.map(|actor| actor.len()), Some(METADATA_BYTES_MAX - FIELD_HEAD_BYTES));
    let wide = whole_stream(store, &format!("wide-{}", APPEND_ENTRIES_MAX - 1)).await;
    assert_eq!(wide.last().map(|event| event.version), Some(version(1)));
}
