//! Closing.

use annalist_core::{Append, AppendError, Cursor, Delivery, Expected, Position, Query, Read, StoreError, Timestamp};

use super::{
    Subject,
    support::{append, event, events, follow, head, key, stream, until_caught_up},
};

pub async fn a_closed_store_says_so(subject: &dyn Subject) {
    let store = subject.store();
    append(&store, Append::new().events(stream("a-1"), Expected::Any, events(1..=3))).await;
    subject.close().await;
    let refused = store.append(Append::new().events(stream("a-1"), Expected::Any, [event(4)])).await;
    assert_eq!(refused, Err(AppendError::Store(StoreError::Closed)));
    assert_eq!(store.head().await, Err(StoreError::Closed));
    assert_eq!(store.outcome(&key("k")).await, Err(StoreError::Closed));
    assert_eq!(store.read(Read::all(Position::ZERO)).await.err(), Some(StoreError::Closed));
    assert_eq!(store.subscribe(Query::all(), Cursor::START).await.err(), Some(StoreError::Closed));
    assert_eq!(store.read(Read::query(Query::all(), Position::ZERO)).await.err(), Some(StoreError::Closed));
    assert_eq!(store.position_before(Timestamp::default()).await, Err(StoreError::Closed));
    assert_eq!(store.statistics().await, Err(StoreError::Closed));
    assert_eq!(subject.snapshots().load(&stream("a-1")).await, Err(StoreError::Closed));
    assert_eq!(subject.checkpoints().load("outbox").await, Err(StoreError::Closed));
}

pub async fn closing_ends_a_subscription_that_waits(subject: &dyn Subject) {
    let store = subject.store();
    append(&store, Append::new().events(stream("a-1"), Expected::Any, events(1..=3))).await;
    let mut subscription = follow(&store, Cursor::START).await;
    let (found, edge) = until_caught_up(&mut *subscription).await;
    assert_eq!((found.len(), edge), (3, head(&store).await));
    let (delivery, ()) = tokio::join!(subscription.next(), subject.close());
    assert_eq!(delivery, Err(StoreError::Closed));
    assert_eq!(subscription.next().await, Err::<Delivery, _>(StoreError::Closed), "and stays ended");
}

pub async fn closing_twice_is_no_mistake(subject: &dyn Subject) {
    subject.close().await;
    subject.close().await;
    assert_eq!(subject.store().head().await, Err(StoreError::Closed));
}
