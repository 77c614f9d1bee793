//! Calls over real connections that are refused, broken and too large.

use std::{net::SocketAddr, time::Duration};

use annalist_service::{
    BreakerPolicy, BreakerState,
    outbound::{Bulkhead, CallError, Clients, OutboundClient, RetryBudget},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

fn client(addr: SocketAddr) -> OutboundClient {
    let client = Clients::default().client("faulty", &format!("http://{addr}")).unwrap();
    let client = client.timeout(Duration::from_secs(5)).retry_budget(RetryBudget::none());
    let client = client.breaker(BreakerPolicy::consecutive(5)).bulkhead(Bulkhead::new(8));
    client.no_fallback("a test").build().unwrap()
}

/// A dependency that reads a request, writes this and closes the connection; tells how many it has seen.
async fn answering(answer: Vec<u8>) -> (SocketAddr, tokio::sync::watch::Receiver<u32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (seen, seen_receiver) = tokio::sync::watch::channel(0);
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            seen.send_modify(|seen| *seen += 1);
            _ = connection.read(&mut [0; 4096]).await;
            // Whoever has heard enough hangs up.
            _ = connection.write_all(&answer).await;
        }
    });
    (addr, seen_receiver)
}

#[tokio::test]
async fn a_refused_connection_opens_the_breaker() {
    let addr = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let client = client(addr);
    for _ in 0..5 {
        let failed = client.get("/").send().await;
        assert!(matches!(failed, Err(CallError::Unreachable(_))), "{failed:?}");
    }
    assert_eq!(client.breaker().state(), BreakerState::Open);
}

/// The sixth call is not sent.
#[tokio::test]
async fn broken_answers_open_it_too_and_then_nothing_is_sent() {
    let (addr, seen) = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this".to_vec()).await;
    let client = client(addr);
    for _ in 0..5 {
        let failed = client.get("/").send().await;
        assert!(matches!(failed, Err(CallError::Unreachable(_))), "{failed:?}");
    }
    assert!(matches!(client.get("/").send().await, Err(CallError::Open(_))));
    assert_eq!(*seen.borrow(), 5);
}

#[tokio::test]
async fn an_answer_has_a_bound_and_a_redirect_is_an_answer() {
    let mut large = b"HTTP/1.1 200 OK\r\ncontent-length: 5000000\r\n\r\n".to_vec();
    large.resize(large.len() + 5_000_000, b'x');
    let (addr, _) = answering(large).await;
    let failed = client(addr).get("/").send().await;
    assert!(matches!(failed, Err(CallError::TooLarge { .. })), "{failed:?}");

    let (addr, seen) =
        answering(b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n".to_vec()).await;
    assert_eq!(client(addr).get("/").send().await.unwrap().status(), 302);
    assert_eq!(*seen.borrow(), 1);
}
