use annalist_core::Append;
use bytes::Bytes;
use prost::Message;

use super::{PipelineRequest, decode_append, encode_append, reverse::Reverse};
use crate::{
    tests::{appends, decorated},
    v1,
};

/// What is generated, from and to bytes.
fn generated(bytes: &[u8]) -> v1::AppendRequest {
    v1::AppendRequest::decode(bytes).expect("a message that was just encoded")
}

#[test]
fn what_is_written_and_read_here_is_what_is_generated() {
    for append in appends() {
        let request = v1::AppendRequest::from(&append);
        assert_eq!(generated(&encode_append(&append)), request);
        assert_eq!(encode_append(&append).len(), request.encoded_len(), "nothing is written that need not be");
        assert_eq!(decode_append(&Bytes::from(request.encode_to_vec())), Ok(append.clone()));
        assert_eq!(decode_append(&encode_append(&append)), Ok(append));
    }
}

#[test]
fn what_is_left_out_means_the_same() {
    let event = v1::NewEvent { id: vec![7; 16].into(), r#type: "opened".to_owned(), ..v1::NewEvent::default() };
    let entry = v1::Entry { stream: "account-1".to_owned(), expected: None, events: vec![event.clone(), event] };
    let request = v1::AppendRequest { entries: vec![entry], ..v1::AppendRequest::default() };
    let read = decode_append(&Bytes::from(request.encode_to_vec()));
    assert_eq!(read, Append::try_from(request));
    assert!(read.is_ok_and(|append| append.event_count() == 2));
    assert_eq!(decode_append(&Bytes::new()), Ok(Append::new()));
}

#[test]
fn a_payload_is_not_copied() {
    let stream = annalist_core::StreamId::new("account-1").expect("a valid name");
    let append = Append::new().events(stream, annalist_core::Expected::Any, [decorated()]);
    let message = encode_append(&append);
    let read = decode_append(&message).expect("what was just encoded");
    let payload = read.entries.first().and_then(|entry| entry.events.first()).expect("an event").payload.as_ptr_range();
    let message = message.as_ptr_range();
    assert!(message.start <= payload.start && payload.end <= message.end);
}

#[test]
fn fields_that_are_not_known_are_passed_over() {
    let append = appends().swap_remove(0);
    let mut bytes = encode_append(&append).to_vec();
    // Field 99 as a number, as 8 bytes, as bytes, and as 4 bytes.
    bytes.extend([
        0x98, 0x06, 0x80, 0x01, 0x99, 0x06, 1, 2, 3, 4, 5, 6, 7, 8, 0x9a, 0x06, 2, 1, 2, 0x9d, 0x06, 1, 2, 3, 4,
    ]);
    assert_eq!(decode_append(&bytes.into()), Ok(append));
}

#[test]
fn what_is_no_such_message_is_refused() {
    let entry = |bytes: &[u8]| [&[0x0a, u8::try_from(bytes.len()).expect("a short one")], bytes].concat();
    for bytes in [
        vec![0x0a],                 // no length
        vec![0x0a, 2, 0],           // shorter than it says
        vec![0x08, 1],              // a number where a message should be
        vec![0x1b, 1],              // a group, which there are none of
        vec![0x02, 1, 0],           // field 0
        vec![0x80; 11],             // a number without an end
        entry(&[0x0a, 1, 0xff]),    // a name that is not UTF-8
        entry(&[0x1a, 2, 0x18, 1]), // an event that has nothing but the version of its type
    ] {
        assert!(decode_append(&bytes.clone().into()).is_err(), "{bytes:x?}");
    }
}

#[test]
fn a_request_is_the_message_of_the_protocol() {
    let append = appends().swap_remove(0);
    let trace = Some(v1::TraceContext { traceparent: "00-1-2-01".to_owned(), tracestate: None });
    let request = PipelineRequest { number: 300, append: encode_append(&append), trace };
    let bytes = request.encode_to_vec();
    // Number 300 is two bytes; then the append as field 2.
    assert_eq!(bytes.get(..4), Some(&[0x08, 0xac, 0x02, 0x12][..]));
    assert_eq!(PipelineRequest::decode(bytes.as_slice()), Ok(request));
}

#[test]
fn there_is_room_for_what_is_larger_than_thought() {
    let mut out = Reverse::with_capacity(3);
    for length in [1, 2, 3, 1000] {
        out.put(&vec![7; length]);
    }
    assert_eq!(out.finish(), vec![7; 1006]);
}
