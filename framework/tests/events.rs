//! What `#[derive(Event)]` writes: names, payloads, tags, and old versions read as new ones.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fmt;

use annalist::{
    DecodeError, Event, EventId, EventSet, EventType, Events, Position, RecordedEvent, StreamId, Timestamp, Version,
};
use serde::{Deserialize, Serialize};

#[derive(Event, Clone, Debug, PartialEq)]
#[event(category = "account")]
enum AccountEvent {
    #[event(name = "account-opened")]
    Opened {
        #[event(tag = "customer")]
        owner: Owner,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nickname: Option<String>,
    },
    #[event(name = "money-deposited", version = 3, upcast(version = 1, from = DepositedV1), upcast(from = DepositedV2))]
    Deposited {
        #[event(tag)]
        transfer: Option<u32>,
        cents: u64,
    },
    #[event(name = "money-moved")]
    Moved(#[event(tag = "direction")] Direction),
    #[event(name = "account-closed", version = 2)]
    Closed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Owner(String);

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Direction {
    In,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("in")
    }
}

/// The first version counted in whole dollars.
#[derive(Deserialize)]
struct DepositedV1 {
    dollars: u64,
}

impl From<DepositedV1> for AccountEvent {
    fn from(old: DepositedV1) -> Self {
        Self::Deposited { transfer: None, cents: old.dollars * 100 }
    }
}

/// The second version knew no transfers.
#[derive(Deserialize)]
struct DepositedV2 {
    cents: u64,
}

impl From<DepositedV2> for AccountEvent {
    fn from(old: DepositedV2) -> Self {
        Self::Deposited { transfer: None, cents: old.cents }
    }
}

fn opened() -> AccountEvent {
    AccountEvent::Opened { owner: Owner("alice".to_owned()), nickname: None }
}

fn tags(event: &AccountEvent) -> Vec<String> {
    event.tags().unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn declares_names_and_versions() {
    let types = [("account-opened", 1), ("money-deposited", 3), ("money-moved", 1), ("account-closed", 2)];
    assert_eq!(AccountEvent::TYPES, types);
    assert_eq!(AccountEvent::CATEGORY, "account");
    assert_eq!(AccountEvent::Closed.event_type(), ("account-closed", 2));
}

#[test]
fn payloads_are_plain_json_without_names_of_rust() {
    let json = |event: &AccountEvent| String::from_utf8(event.encode().unwrap().to_vec()).unwrap();
    assert_eq!(json(&opened()), r#"{"owner":"alice"}"#);
    assert_eq!(json(&AccountEvent::Deposited { transfer: Some(7), cents: 50 }), r#"{"transfer":7,"cents":50}"#);
    assert_eq!(json(&AccountEvent::Moved(Direction::In)), r#""in""#);
    assert_eq!(json(&AccountEvent::Closed), "{}");
}

#[test]
fn what_is_written_is_read_again() {
    let deposited = AccountEvent::Deposited { transfer: Some(7), cents: 50 };
    for event in [opened(), deposited, AccountEvent::Moved(Direction::In), AccountEvent::Closed] {
        let (name, version) = event.event_type();
        assert_eq!(AccountEvent::decode(name, version, &event.encode().unwrap()), Ok(event));
    }
}

#[test]
fn fields_are_tags_where_they_are_marked_and_present() {
    assert_eq!(tags(&opened()), ["customer:alice"]);
    assert_eq!(tags(&AccountEvent::Deposited { transfer: Some(7), cents: 50 }), ["transfer:7"]);
    assert_eq!(tags(&AccountEvent::Deposited { transfer: None, cents: 50 }), [""; 0]);
    assert_eq!(tags(&AccountEvent::Moved(Direction::In)), ["direction:in"]);
    assert_eq!(tags(&AccountEvent::Closed), [""; 0]);
}

#[test]
fn old_versions_are_upcast() {
    let expected = Ok(AccountEvent::Deposited { transfer: None, cents: 5000 });
    assert_eq!(AccountEvent::decode("money-deposited", 1, br#"{"dollars":50}"#), expected);
    assert_eq!(AccountEvent::decode("money-deposited", 2, br#"{"cents":5000}"#), expected);
}

#[test]
fn what_cannot_be_read_is_an_error_that_says_why() {
    let decode = |name, version, payload: &str| AccountEvent::decode(name, version, payload.as_bytes()).unwrap_err();
    assert_eq!(decode("account-frozen", 1, "{}"), DecodeError::UnknownType { name: "account-frozen".to_owned() });
    let future = DecodeError::FutureVersion { name: "money-deposited", recorded: 4, known: 3 };
    assert_eq!(decode("money-deposited", 4, "{}"), future);
    let retired = DecodeError::RetiredVersion { name: "account-closed", recorded: 1 };
    assert_eq!(decode("account-closed", 1, "{}"), retired);
    let detail = "missing field `cents` at line 1 column 2".to_owned();
    assert_eq!(
        decode("money-deposited", 2, "{}"),
        DecodeError::Payload { name: "money-deposited", version: 2, detail }
    );
}

#[test]
fn unknown_fields_are_passed_over() {
    let payload = br#"{"owner":"alice","colour":"red"}"#;
    assert_eq!(AccountEvent::decode("account-opened", 1, payload), Ok(opened()));
}

#[derive(Event, Clone, Debug, PartialEq)]
#[event(category = "parcel")]
enum ParcelEvent {
    #[event(name = "parcel-sent")]
    Sent { weight: u32 },
}

#[derive(Event, Clone, Debug, PartialEq)]
#[event(category = "letter")]
enum LetterEvent {
    #[event(name = "letter-sent", version = 2)]
    Sent,
}

#[derive(Events, Clone, Debug, PartialEq)]
enum PostEvent {
    Parcel(ParcelEvent),
    Letter(LetterEvent),
}

fn recorded(stream: &str, written: annalist::Written) -> RecordedEvent {
    let (stream, new) = (StreamId::new(stream.to_owned()).unwrap(), written.with_id(EventId::generate()));
    RecordedEvent::record(&stream, &new, Position::new(1), Version::new(1), Timestamp::from_micros(0))
}

#[test]
fn events_of_several_categories_are_read_as_one_type() {
    let parcel = PostEvent::from(ParcelEvent::Sent { weight: 3 });
    assert_eq!(PostEvent::read(&recorded("parcel-1", parcel.write().unwrap())), Ok(Some(parcel.clone())));
    let letter = PostEvent::from(LetterEvent::Sent);
    assert_eq!(PostEvent::read(&recorded("letter-1", letter.write().unwrap())), Ok(Some(letter)));
    // The same name in another category is another event.
    assert_eq!(PostEvent::read(&recorded("balloon-1", parcel.write().unwrap())), Ok(None));
}

#[test]
fn a_newer_version_is_refused_whatever_category_it_is_of() {
    let mut written = PostEvent::from(LetterEvent::Sent).write().unwrap();
    written.event_type = EventType::versioned("letter-sent", 3).unwrap();
    let refused = DecodeError::FutureVersion { name: "letter-sent", recorded: 3, known: 2 };
    assert_eq!(PostEvent::read(&recorded("letter-1", written)), Err(refused));
}

#[test]
fn the_query_of_events_names_categories_and_types() {
    assert_eq!(
        PostEvent::query().to_string(),
        "type `parcel-sent`, category `parcel`; or type `letter-sent`, category `letter`"
    );
}

mod chain {
    //! Each version is a small step from the one before; the derive puts the steps together.

    use super::*;

    #[derive(Event, Clone, Debug, PartialEq)]
    #[event(category = "account")]
    pub(super) enum AccountEvent {
        #[event(
            name = "money-deposited",
            version = 5,
            upcast(version = 4, from = V4),
            upcast(version = 1, from = V1, via = V2),
            upcast(version = 2, from = V2, via = V4),
            upcast(version = 3, from = V3)
        )]
        Deposited { cents: u64, note: String },
    }

    #[derive(Deserialize)]
    pub(super) struct V1 {
        dollars: u64,
    }

    #[derive(Deserialize)]
    pub(super) struct V2 {
        cents: u64,
    }

    #[derive(Deserialize)]
    pub(super) struct V3 {
        remark: String,
    }

    #[derive(Deserialize)]
    pub(super) struct V4 {
        cents: u64,
        remark: String,
    }

    impl From<V1> for V2 {
        fn from(old: V1) -> Self {
            Self { cents: old.dollars * 100 }
        }
    }

    impl From<V2> for V4 {
        fn from(old: V2) -> Self {
            Self { cents: old.cents, remark: "before remarks".to_owned() }
        }
    }

    impl From<V3> for AccountEvent {
        fn from(old: V3) -> Self {
            Self::Deposited { cents: 0, note: old.remark }
        }
    }

    impl From<V4> for AccountEvent {
        fn from(old: V4) -> Self {
            Self::Deposited { cents: old.cents, note: old.remark }
        }
    }
}

#[test]
fn old_versions_go_through_the_shapes_between() {
    let decode = |version, payload: &str| chain::AccountEvent::decode("money-deposited", version, payload.as_bytes());
    let deposited = |cents, note: &str| Ok(chain::AccountEvent::Deposited { cents, note: note.to_owned() });
    assert_eq!(decode(1, r#"{"dollars":5}"#), deposited(500, "before remarks"));
    assert_eq!(decode(2, r#"{"cents":5}"#), deposited(5, "before remarks"));
    assert_eq!(decode(3, r#"{"remark":"a"}"#), deposited(0, "a"));
    assert_eq!(decode(4, r#"{"cents":5,"remark":"a"}"#), deposited(5, "a"));
    assert_eq!(decode(5, r#"{"cents":5,"note":"a"}"#), deposited(5, "a"));
    assert_eq!(chain::AccountEvent::SCHEMA[0].upcasts, [1, 2, 3, 4]);
    // What is wrong in an old payload is said of the version that was recorded.
    assert!(matches!(decode(1, "{}"), Err(DecodeError::Payload { version: 1, .. })));
}
