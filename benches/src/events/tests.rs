use annalist_core::{Expected, Version};

use super::{CENTS, CUSTOMER, EventSource, ORDER, PAYLOAD_BYTES, TEXT};

#[test]
fn the_fields_stand_where_the_digits_are() {
    for field in [ORDER, CUSTOMER, CENTS] {
        assert!(TEXT[field.clone()].iter().all(|byte| *byte == b'0'));
        assert_eq!((TEXT[field.start - 1], TEXT[field.end]), (b'"', b'"'));
    }
}

#[test]
fn payloads_have_the_promised_size_and_differ() {
    let mut source = EventSource::new(1).unwrap();
    let (first, second) = (source.event(), source.event());
    assert_eq!((first.payload.len(), second.payload.len()), (PAYLOAD_BYTES, PAYLOAD_BYTES));
    assert_ne!(first.payload, second.payload);
    assert_ne!(first.id, second.id);
}

#[test]
fn the_same_writer_writes_the_same_and_each_append_is_valid() {
    let (mut one, mut other) = (EventSource::new(7).unwrap(), EventSource::new(7).unwrap());
    for _ in 0..5 {
        let append = one.append(64).unwrap();
        assert_eq!(append, other.append(64).unwrap());
        assert!(append.check().is_ok());
    }
}

#[test]
fn a_stream_is_left_once_it_has_a_hundred_events() {
    let mut source = EventSource::new(3).unwrap();
    let written: Vec<(String, Expected)> = (0..3)
        .map(|_| source.append(64).unwrap().entries.remove(0))
        .map(|entry| (entry.stream.as_str().to_owned(), entry.expected))
        .collect();
    let expected = [("order-3-0", 0), ("order-3-0", 64), ("order-3-1", 0)];
    assert_eq!(written, expected.map(|(stream, version)| (stream.to_owned(), Expected::Exact(Version::new(version)))));
}

#[test]
fn payloads_are_json_when_asked_for() {
    let mut source = EventSource::new(5).unwrap().json();
    for _ in 0..100 {
        let payload = source.event().payload;
        assert_eq!(payload.len(), PAYLOAD_BYTES);
        let value: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(value["customer"].as_str().map(str::len), Some(CUSTOMER.len()));
    }
}
