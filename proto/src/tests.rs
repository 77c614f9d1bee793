//! What goes over the wire comes back as it was.

mod fuzz;

use annalist_core::{
    Append, Appended, Body, ContentType, Cursor, Epoch, EventId, EventType, Expected, Fingerprint, Invalid, Key,
    Metadata, NewEvent, Outcome, Position, Query, QueryItem, Read, RecordedEvent, Snapshot, Statistics, StoreError,
    StoreId, StreamId, Tag, Timestamp, Version,
};
use prost::Message;
use uuid::Uuid;

use crate::{events, form, stored_events, subscribe, subscribed, v1};

/// Through bytes and back.
fn wire<T: Message + Default>(message: &T) -> T {
    T::decode(message.encode_to_vec().as_slice()).expect("a message that was just encoded")
}

fn stream(name: &str) -> StreamId {
    StreamId::new(name).expect("a valid name")
}

fn cursor(position: u64) -> Cursor {
    Cursor { store: StoreId::new(Uuid::from_u128(7)), epoch: Epoch::new(2), position: Position::new(position) }
}

fn plain() -> NewEvent {
    NewEvent::new(EventId::new(Uuid::from_u128(1)), EventType::new("opened").expect("a valid type"), "{}")
}

pub(crate) fn decorated() -> NewEvent {
    let kind = EventType::versioned("closed", u16::MAX).expect("a valid type");
    let metadata = Metadata {
        correlation_id: Some("conversation".to_owned()),
        causation_id: Some(String::new()),
        actor: Some("ada".to_owned()),
        tenant: Some("acme".to_owned()),
        traceparent: Some("00-1-2-01".to_owned()),
        tracestate: Some("a=b".to_owned()),
        pairs: [("name".to_owned(), "value".to_owned())].into(),
    };
    NewEvent::new(EventId::new(Uuid::from_u128(2)), kind, vec![0, 255])
        .with_content_type(ContentType::BYTES)
        .with_tags(["a:1", "ä"].map(|tag| Tag::new(tag).expect("a valid tag")))
        .with_metadata(metadata)
}

fn queries() -> Vec<Query> {
    let tags = ["a:1", "b:2"].map(|tag| Tag::new(tag).expect("a valid tag"));
    vec![
        Query::all(),
        Query::types(["opened", "closed"]),
        Query::tags(tags.clone()).or(QueryItem::new().types(["opened"]).tags(tags).category("account")),
        Query::stream(stream("account-1")).or(QueryItem::new().stream(StreamId::system())),
    ]
}

pub(crate) fn appends() -> Vec<Append> {
    let key = Key::new("scope", "id").expect("a valid key");
    let append = Append::new()
        .events(stream("account-1"), Expected::NoStream, [plain(), decorated()])
        .events(stream("account-2"), Expected::Any, [decorated()])
        .guard(stream("branch-7"), Expected::Exact(Version::ZERO))
        .guard(stream("branch-8"), Expected::StreamExists)
        .keyed(key, Fingerprint::new([9; 16]), "reply");
    let append = queries().into_iter().fold(append, |append, query| append.unless(query, cursor(3)));
    let append = append.unless(Query::all(), Cursor::START);
    vec![append, Append::new()]
}

#[test]
fn appends_come_back_as_they_were() {
    for append in appends() {
        assert_eq!(Append::try_from(wire(&v1::AppendRequest::from(&append))), Ok(append));
    }
}

#[test]
fn what_is_left_out_has_a_meaning() {
    let event = v1::NewEvent { r#type: "opened".to_owned(), ..v1::NewEvent::default() };
    let entry = v1::Entry { stream: "account-1".to_owned(), expected: None, events: vec![event.clone(), event] };
    let condition = v1::Condition { query: Some(Query::all().into()), after: None };
    let key = v1::Key { scope: "scope".to_owned(), id: "id".to_owned() };
    let keyed = Some(v1::Keyed { key: Some(key), ..v1::Keyed::default() });
    let request = v1::AppendRequest { entries: vec![entry], conditions: vec![condition], keyed };
    let append = Append::try_from(request).expect("a valid request");
    let entry = append.entries.first().expect("an entry");
    let [one, other] = entry.events.as_slice() else { panic!("two events") };
    assert_eq!((one.event_type.version(), &one.content_type), (1, &ContentType::JSON));
    assert_ne!(one.id, other.id, "each has an id of its own");
    assert_eq!(entry.expected, Expected::Any);
    assert_eq!(append.conditions.first().map(|condition| condition.after), Some(Cursor::START));
    assert_eq!(append.keyed.map(|keyed| keyed.fingerprint), Some(Fingerprint::new([0; 16])));

    assert_eq!(Read::try_from(v1::ReadRequest::default()), Ok(Read::all(Position::ZERO)));
    let backward = v1::ReadRequest { direction: v1::Direction::Backward.into(), ..v1::ReadRequest::default() };
    assert_eq!(Read::try_from(backward), Ok(Read::all_backward(Position::MAX)));
    assert_eq!(subscribed(v1::SubscribeRequest::default()), Ok((Query::all(), Cursor::START)));
}

#[test]
fn what_cannot_be_is_refused() {
    let cursor = |bytes: usize| v1::Cursor { store_id: vec![1; bytes].into(), epoch: 1, position: 1 };
    assert!(matches!(Cursor::try_from(cursor(15)), Err(Invalid::Other { .. })));
    let event = |event| NewEvent::try_from(v1::NewEvent { r#type: "opened".to_owned(), ..event });
    assert!(matches!(
        event(v1::NewEvent { id: vec![1].into(), ..v1::NewEvent::default() }),
        Err(Invalid::Other { .. })
    ));
    let version = v1::NewEvent { type_version: 65_536, ..v1::NewEvent::default() };
    assert!(matches!(event(version), Err(Invalid::Other { .. })));
    let reserved = v1::NewEvent { r#type: "$commit".to_owned(), ..v1::NewEvent::default() };
    assert!(matches!(NewEvent::try_from(reserved), Err(Invalid::Reserved { .. })));
    let expected = v1::Expected { kind: 99, version: 0 };
    assert!(matches!(Expected::try_from(expected), Err(Invalid::Other { .. })));
    assert!(matches!(form(99), Err(Invalid::Other { .. })));
    let keyed = v1::AppendRequest { keyed: Some(v1::Keyed::default()), ..v1::AppendRequest::default() };
    assert!(matches!(Append::try_from(keyed), Err(Invalid::Other { .. })));
}

#[test]
fn reads_and_subscriptions_come_back_as_they_were() {
    let mut reads = vec![
        Read::all(Position::new(3)),
        Read::all_backward(Position::MAX).limit(0),
        Read::stream(stream("account-1"), Version::new(2)).limit(7),
        Read::stream_backward(StreamId::system(), Version::MAX),
    ];
    for query in queries() {
        reads.push(Read::query(query.clone(), Position::ZERO));
        reads.push(Read::query_backward(query.clone(), Position::new(9)));
        let asked = wire(&subscribe(query.clone(), cursor(4)));
        assert_eq!(subscribed(asked), Ok((query, cursor(4))));
    }
    for read in reads {
        assert_eq!(Read::try_from(wire(&v1::ReadRequest::from(read.clone()))), Ok(read));
    }
}

#[test]
fn events_come_in_the_form_that_was_asked_for() {
    let recorded = |event: &NewEvent| {
        let (position, version) = (Position::new(5), Version::new(2));
        RecordedEvent::record(&stream("account-1"), event, position, version, Timestamp::from_micros(-1))
    };
    let all = [recorded(&plain()), recorded(&decorated())];
    let stored = wire(&events(&all, v1::Form::Stored));
    assert_eq!(stored.recorded, []);
    assert_eq!(stored_events(stored), Ok(all.to_vec()));

    let fields = wire(&events(&all, v1::Form::Fields));
    let [_, second] = fields.recorded.as_slice() else { panic!("two events") };
    assert_eq!((second.position, second.version, second.time_us), (5, 2, -1));
    assert_eq!((second.stream.as_str(), second.r#type.as_str(), second.type_version), ("account-1", "closed", 65_535));
    assert_eq!(
        (second.content_type.as_str(), second.tags.as_slice()),
        ("application/octet-stream", &["a:1".to_owned(), "ä".to_owned()][..])
    );
    assert_eq!(second.metadata.clone().map(|metadata| Metadata::from(*metadata)), Some(decorated().metadata));
    assert_eq!((&second.id[..], &second.payload[..]), (&Uuid::from_u128(2).as_bytes()[..], &[0, 255][..]));
}

#[test]
fn damaged_bodies_are_damage() {
    let one = RecordedEvent::record(&stream("a-1"), &plain(), Position::new(5), Version::new(2), Timestamp::default());
    let good = v1::StoredEvent::from(&one);
    let cut = v1::StoredEvent { body: good.body.slice(..12), ..good.clone() };
    assert!(Body::decode(cut.body.clone()).is_err());
    for bad in [cut, v1::StoredEvent { id: Vec::new().into(), ..good }] {
        let events = v1::Events { stored: vec![bad], ..v1::Events::default() };
        assert!(matches!(stored_events(events), Err(StoreError::Corrupt { position, .. }) if position == one.position));
    }
}

#[test]
fn answers_come_back_as_they_were() {
    let appended = Appended {
        after: Position::new(4),
        cursor: cursor(6),
        streams: vec![(stream("account-1"), Version::new(2)), (StreamId::system(), Version::new(1))],
        repeated: true,
    };
    assert_eq!(Appended::try_from(wire(&v1::Appended::from(appended.clone()))), Ok(appended.clone()));
    let outcome = Outcome { fingerprint: Fingerprint::new([3; 16]), reply: "reply".into(), appended };
    assert_eq!(Outcome::try_from(wire(&v1::Outcome::from(outcome.clone()))), Ok(outcome));
    let mut statistics = Statistics::at(cursor(9));
    (statistics.streams, statistics.event_bytes, statistics.log_bytes) = (1, 2, 3);
    (statistics.index_bytes, statistics.indexed) = (4, Position::new(5));
    assert_eq!(Statistics::try_from(wire(&v1::StatisticsResponse::from(statistics))), Ok(statistics));
    let event_id = EventId::new(Uuid::from_u128(9));
    let snapshot = Snapshot { version: Version::MAX, event_id, schema: "v1".to_owned(), state: "state".into() };
    assert_eq!(Snapshot::try_from(wire(&v1::Snapshot::from(snapshot.clone()))), Ok(snapshot));
    assert_eq!(Cursor::try_from(wire(&v1::Cursor::from(Cursor::START))), Ok(Cursor::START));
    assert_eq!(Cursor::try_from(v1::Cursor::default()), Ok(Cursor::START));
}
