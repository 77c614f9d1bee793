//! What is deserialised obeys the rules of what is made: the layout of a record relies on them.

use super::{ContentType, EventType};
use crate::limits::TYPE_BYTES_MAX;

fn event_type(name: &str, version: u16) -> Result<EventType, serde_json::Error> {
    serde_json::from_value(serde_json::json!({ "name": name, "version": version }))
}

#[test]
fn a_type_that_could_not_be_made_is_not_deserialised_either() {
    let paid = EventType::versioned("paid", 2).unwrap();
    assert_eq!(event_type("paid", 2).unwrap(), paid);
    assert_eq!(serde_json::to_value(&paid).unwrap(), serde_json::json!({ "name": "paid", "version": 2 }));
    let too_long = "t".repeat(TYPE_BYTES_MAX + 1);
    for (name, version) in [("paid", 0), ("", 1), ("$commit", 1), ("line\nbreak", 1), (&too_long, 1)] {
        assert!(event_type(name, version).is_err(), "{name:?} version {version}");
    }
}

#[test]
fn a_content_type_that_could_not_be_made_is_not_deserialised_either() {
    assert_eq!(serde_json::to_value(ContentType::JSON).unwrap(), "application/json");
    assert_eq!(
        serde_json::from_str::<ContentType>(r#""text/plain""#).unwrap(),
        ContentType::new("text/plain").unwrap()
    );
    let too_long = format!("\"{}\"", "c".repeat(TYPE_BYTES_MAX + 1));
    for text in [r#""""#, r#""line\nbreak""#, &too_long] {
        assert!(serde_json::from_str::<ContentType>(text).is_err(), "{text}");
    }
}

#[test]
fn a_time_is_read_as_it_is_written() {
    for micros in [0, 1, -1, 1_700_000_000_123_456, -62_135_596_800_000_000] {
        let time = super::Timestamp::from_micros(micros);
        assert_eq!(time.to_string().parse(), Ok(time));
    }
    assert_eq!("2026-01-02T03:04:05+01:00".parse(), "2026-01-02T02:04:05Z".parse::<super::Timestamp>());
    for text in ["", "yesterday", "2026-01-02", "2026-01-02T03:04:05.0000001Z", "123us"] {
        assert!(text.parse::<super::Timestamp>().is_err(), "{text}");
    }
}
