//! What buffers of calls take.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use tonic::{
    codec::EncodeBody,
    codegen::{Body as _, tokio_stream},
};

use super::*;
use crate::v1;

/// What the first chunk of a call has room for, once it is written, and what it says.
fn chunk(messages: Vec<v1::Entry>) -> (usize, usize) {
    let messages = tokio_stream::iter(messages.into_iter().map(Ok));
    let chunk: Bytes = {
        let mut body = pin!(EncodeBody::new_client(Exact(PhantomData), messages, None, None));
        let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop())) else {
            panic!("there is a message")
        };
        frame.into_data().expect("it is no trailer")
    };
    let said = chunk.len();
    (chunk.try_into_mut().expect("the call is over").capacity(), said)
}

fn message(events: usize) -> v1::Entry {
    let event = v1::NewEvent { payload: vec![b'x'; 1000].into(), ..v1::NewEvent::default() };
    v1::Entry { stream: "large-1".to_owned(), expected: None, events: vec![event; events] }
}

#[test]
fn a_large_message_has_the_room_that_it_needs_and_no_more() {
    let (room, said) = chunk(vec![message(64)]);
    assert!((64_000..70_000).contains(&said), "{said}");
    assert!(room < said + 2 * CALL_BUFFER_BYTES, "{room} for {said}");
}

#[test]
fn small_messages_that_are_ready_go_together() {
    let (room, said) = chunk(vec![message(1); 100]);
    assert!((CHUNK_BYTES..CHUNK_BYTES + 2000).contains(&said), "{said}");
    assert!(room <= 4 * CHUNK_BYTES, "{room} for {said}");
}
