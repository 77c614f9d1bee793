//! Following the log.

use annalist_core::{Append, Cursor, Delivery, Epoch, Expected, Query, Read, StoreError, StoreId};

use super::{
    Store,
    support::{
        Found, append, at, event, events, fingerprint, follow, head, key, numbers, positions, read, stream,
        until_caught_up, until_count, whole_log, yields,
    },
};

async fn write(store: &Store, numbers: impl IntoIterator<Item = u64>) -> Cursor {
    append(store, Append::new().events(stream("a-1"), Expected::Any, events(numbers))).await.cursor
}

pub async fn history_comes_first_then_the_present(store: &Store) {
    write(store, 1..=600).await;
    let mut subscription = follow(store, Cursor::START).await;
    let (history, edge) = until_caught_up(&mut *subscription).await;
    assert!(numbers(&history) == (1..=600).collect::<Vec<_>>(), "history is whole and in order");
    assert!(history == whole_log(store).await, "and the same as what is read");
    assert_eq!(edge, head(store).await);
    for round in 0..20 {
        let first = 601 + 3 * round;
        let cursor = write(store, first..first + 3).await;
        let (news, edge) = until_caught_up(&mut *subscription).await;
        assert_eq!(numbers(&news), [first, first + 1, first + 2]);
        assert_eq!(edge, cursor);
    }
    let cursor = append(store, Append::new().keyed(key("nothing"), fingerprint(1), "")).await.cursor;
    let (news, edge) = until_caught_up(&mut *subscription).await;
    assert!(news.iter().all(annalist_core::RecordedEvent::is_system), "the store's own records come too");
    assert_eq!((news.len(), edge), (1, cursor));
}

pub async fn the_edge_is_told_once_each_time(store: &Store) {
    let mut subscription = follow(store, Cursor::START).await;
    for number in 1..=20 {
        assert_eq!(subscription.next().await, Ok(Delivery::CaughtUp(head(store).await)));
        // With the edge told, the next delivery is what is written while it is waited for.
        let (delivery, _) = tokio::join!(subscription.next(), write(store, [number]));
        let Ok(Delivery::Events(news)) = delivery else { panic!("expected event {number}: {delivery:?}") };
        assert_eq!(numbers(&news), [number]);
    }
}

pub async fn a_subscription_begins_behind_its_cursor(store: &Store) {
    write(store, 1..=40).await;
    let head = head(store).await;
    for after in [0, 1, 7, 39, 40] {
        let mut subscription = follow(store, head.at(at(after))).await;
        let (found, edge) = until_caught_up(&mut *subscription).await;
        assert_eq!(positions(&found), (after + 1..=40).collect::<Vec<_>>());
        assert_eq!(edge, head);
    }
}

pub async fn every_cursor_that_is_given_out_fits(store: &Store) {
    let (_, empty_edge) = until_caught_up(&mut *follow(store, Cursor::START).await).await;
    let appended = write(store, 1..=3).await;
    let (_, edge) = until_caught_up(&mut *follow(store, empty_edge).await).await;
    assert_eq!((edge, head(store).await), (appended, appended));
    for cursor in [empty_edge, appended, edge, Cursor::START] {
        let (found, _) = until_caught_up(&mut *follow(store, cursor).await).await;
        assert_eq!(found, read(store, Read::all(cursor.position)).await);
    }
}

async fn assert_foreign(store: &Store, cursor: Cursor) {
    let refusal = store.subscribe(Query::all(), cursor).await.err();
    assert_eq!(refusal, Some(StoreError::ForeignCursor { cursor, head: head(store).await }));
}

pub async fn the_cursor_of_another_store_is_refused(store: &Store) {
    let cursor = write(store, 1..=3).await;
    let another = StoreId::new(uuid::Uuid::from_u128(!cursor.store.uuid().as_u128()));
    for position in [0, 1, 3] {
        assert_foreign(store, Cursor { store: another, ..cursor.at(at(position)) }).await;
    }
}

pub async fn the_cursor_of_another_epoch_is_refused(store: &Store) {
    let cursor = write(store, 1..=3).await;
    for epoch in [cursor.epoch.get() - 1, cursor.epoch.get() + 1] {
        assert_foreign(store, Cursor { epoch: Epoch::new(epoch), ..cursor }).await;
    }
}

pub async fn a_cursor_beyond_the_head_is_refused(store: &Store) {
    assert_foreign(store, head(store).await.at(at(1))).await;
    let cursor = write(store, 1..=3).await;
    for position in [4, 5, u64::MAX] {
        assert_foreign(store, cursor.at(at(position))).await;
    }
}

pub async fn dropping_the_wait_loses_nothing(store: &Store) {
    const COUNT: u64 = 300;
    write(store, 1..=100).await;
    let mut subscription = follow(store, Cursor::START).await;
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 101..=COUNT {
                write(&store, [number]).await;
            }
        })
    };
    let (mut found, mut patience) = (Found::default(), 0);
    while (found.events.len() as u64) < COUNT {
        let delivery = tokio::select! {
            biased;
            delivery = subscription.next() => delivery.expect("the subscription goes on"),
            // The wait is given up after a few turns; after ever more of them, so that a slow store gets somewhere too.
            () = yields(patience) => {
                patience += 1;
                continue;
            }
        };
        found.add(delivery);
        patience = 0;
    }
    writer.await.expect("the writer ends");
    assert!(numbers(&found.events) == (1..=COUNT).collect::<Vec<_>>(), "everything once, in order");
}

pub async fn each_subscriber_sees_everything_in_order_while_others_write(store: &Store) {
    const WRITERS: u64 = 4;
    const APPENDS: u64 = 50;
    let total = usize::try_from(WRITERS * APPENDS * 2).expect("a small number");
    let mut writers = Vec::new();
    let mut readers = Vec::new();
    for task in 0..WRITERS {
        let (writing, reading) = (store.clone(), store.clone());
        writers.push(tokio::spawn(async move {
            for number in 0..APPENDS {
                let to = stream(&format!("writer-{task}"));
                append(&writing, Append::new().events(to, Expected::Any, events([number, number]))).await;
            }
        }));
        readers.push(tokio::spawn(async move {
            // They begin at different moments of the writing.
            let mut from = follow(&reading, Cursor::START).await;
            until_count(&mut *from, usize::try_from(task * 30).expect("a small number")).await;
            until_count(&mut *follow(&reading, Cursor::START).await, total).await
        }));
    }
    for writer in writers {
        writer.await.expect("the writer ends");
    }
    let log = whole_log(store).await;
    assert_eq!(positions(&log), (1..=total as u64).collect::<Vec<_>>());
    for reader in readers {
        let found = reader.await.expect("the reader ends");
        assert!(found == log, "a subscription delivers the log");
    }
}

pub async fn a_subscriber_that_goes_away_does_not_matter(store: &Store) {
    let mut stays = follow(store, Cursor::START).await;
    for number in 1..=30 {
        let mut goes = follow(store, Cursor::START).await;
        let _ = goes.next().await.expect("the subscription goes on");
        drop(goes);
        append(store, Append::new().events(stream("a-1"), Expected::Any, [event(number)])).await;
    }
    let found = until_count(&mut *stays, 30).await;
    assert_eq!(numbers(&found), (1..=30).collect::<Vec<_>>());
}
