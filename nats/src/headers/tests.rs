use annalist::outbox::contract;
use annalist_core::Metadata;

use super::*;

fn message() -> Message {
    let mut message = contract::messages(17, 17).remove(0);
    message.ordinal = 2;
    message.event.subject = "a \"b\" 100% ü".to_owned();
    message.metadata = Metadata {
        correlation_id: Some("c-1".to_owned()),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        tracestate: Some("line\nbreak".to_owned()),
        ..Metadata::default()
    };
    message
}

fn encoded() -> HeaderMap {
    encode(&message(), "urn:annalist:orders", "ORDERS", 41)
}

fn value(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| value.as_str().to_owned())
}

#[test]
fn a_message_is_a_cloud_event_in_binary_mode() {
    let headers = encoded();
    let expected = [
        ("ce-specversion", "1.0"),
        ("ce-id", "6f757462-6f78-0000-0000-000000000011.2"),
        ("ce-source", "urn:annalist:orders"),
        ("ce-type", "orders.order-placed.v1"),
        ("ce-subject", "a%20%22b%22%20100%25%20%C3%BC"),
        ("ce-time", "2023-11-14T22:13:20.000000Z"),
        ("ce-datacontenttype", "application/json"),
        ("ce-sequence", "1"),
        ("ce-correlationid", "c-1"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ];
    for (name, expected) in expected {
        assert_eq!(value(&headers, name).as_deref(), Some(expected), "{name}");
    }
    assert_eq!(value(&headers, "ce-causationid"), None, "there was none");
    assert_eq!(value(&headers, "tracestate"), None, "what is no header value is left out");
    assert_eq!(percent_decoded(&value(&headers, "ce-subject").unwrap()).as_deref(), Some("a \"b\" 100% ü"));
}

#[test]
fn a_message_names_its_place_in_the_stream() {
    let headers = encoded();
    let expected = [
        ("Nats-Msg-Id", "6f757462-6f78-0000-0000-000000000011.2"),
        ("Nats-Expected-Stream", "ORDERS"),
        ("Nats-Expected-Last-Sequence", "41"),
    ];
    for (name, expected) in expected {
        assert_eq!(value(&headers, name).as_deref(), Some(expected), "{name}");
    }
}

#[test]
fn the_origin_is_found_again_whatever_the_case_of_names() {
    assert_eq!(origin(&encoded()), Some(Published::from(&message())));
    let mut shouting = HeaderMap::new();
    for (name, values) in encoded().iter() {
        shouting.insert(text(name).to_ascii_uppercase(), values[0].clone());
    }
    assert_eq!(origin(&shouting), Some(Published::from(&message())));
}

#[test]
fn a_message_of_somebody_else_has_no_origin() {
    assert_eq!(origin(&HeaderMap::new()), None);
    for (name, damaged) in [("es-position", "x"), ("es-store", "1"), ("es-ordinal", "-1"), ("es-epoch", "")] {
        let mut headers = encoded();
        headers.insert(name, damaged);
        assert_eq!(origin(&headers), None, "{name}");
    }
}

#[test]
fn bytes_are_counted_as_they_are_sent() {
    let mut headers = HeaderMap::new();
    headers.insert("a", "b");
    headers.append("a", "cd");
    assert_eq!(byte_count(&headers), "NATS/1.0\r\na: b\r\na: cd\r\n\r\n".len());
}

#[test]
fn what_is_not_percent_encoded_text_is_not_decoded() {
    for damaged in ["%", "%2", "%2G", "%FF"] {
        assert_eq!(percent_decoded(damaged), None, "{damaged}");
    }
}
