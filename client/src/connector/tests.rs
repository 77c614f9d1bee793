use std::time::Duration;

use annalist_core::{Append, AppendError, EventId, EventStore as _, EventType, Expected, NewEvent, StreamId};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{RemoteOptions, RemoteStore};

/// What becomes of an append if the other side says this, and hangs up once it has been asked something.
async fn asked(says: &'static [u8]) -> AppendError {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(says).await.unwrap();
            let mut byte = [0];
            stream.read_exact(&mut byte).await.unwrap();
            // What else it has sent is unread, so that the system resets the connection.
        }
    });
    let options = RemoteOptions { call_timeout: Duration::from_millis(300), ..RemoteOptions::default() };
    let store = RemoteStore::connect_with(&address, options).unwrap();
    let event = NewEvent::new(EventId::generate(), EventType::new("opened").unwrap(), "{}");
    let append = Append::new().events(StreamId::new("account-1").unwrap(), Expected::Any, [event]);
    let error = store.append(append).await.unwrap_err();
    server.abort();
    error
}

#[tokio::test]
async fn nothing_was_taken_if_the_server_said_nothing() {
    let error = asked(b"").await;
    assert!(matches!(&error, AppendError::Unavailable { why } if why.contains("before it said anything")), "{error:?}");
}

#[tokio::test]
async fn something_may_have_been_taken_if_the_server_said_something() {
    // A frame of settings without any.
    let error = asked(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
    assert!(matches!(error, AppendError::Unknown { .. }), "{error:?}");
}
