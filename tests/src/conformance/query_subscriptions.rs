//! Following what matches a query.

use annalist_core::{Append, Cursor, Delivery, Expected, Position, Query, QueryItem, RecordedEvent, Subscription};

use super::{
    Store,
    query_reads::{many, over_many},
    support::{
        append, at, event, events, find, follow_query, head, numbers, positions, stream, tagged, tags, until_caught_up,
        until_count, whole_log, yields,
    },
};

fn wanted() -> Query {
    Query::tags(tags(&["wanted"]))
}

async fn write_wanted(store: &Store, number: u64) -> Cursor {
    let one = tagged(number, &["wanted", &number.to_string()]);
    append(store, Append::new().events(stream("a-1"), Expected::Any, [one])).await.cursor
}

async fn write_others(store: &Store, numbers: impl IntoIterator<Item = u64>) -> Cursor {
    append(store, Append::new().events(stream("b-1"), Expected::Any, events(numbers))).await.cursor
}

/// What a subscriber knows, checked with each delivery: events in order, and cursors between what was delivered and the
/// head.
#[derive(Default)]
struct Follower {
    events: Vec<RecordedEvent>,
    /// How far it is, and how many events had come by then.
    cursors: Vec<(Cursor, usize)>,
    checkpoints: usize,
    edges: usize,
    at_edge: bool,
}

impl Follower {
    fn last(&self) -> Position {
        let event = self.events.last().map_or(Position::ZERO, |event| event.position);
        self.cursors.last().map_or(event, |(cursor, _)| event.max(cursor.position))
    }

    async fn next(&mut self, store: &Store, subscription: &mut dyn Subscription) {
        let log = head(store).await;
        let delivery = subscription.next().await.expect("the subscription goes on");
        // Taken before anything else is awaited: whoever waits for this may give up at any moment.
        self.take(delivery, log);
        let head = head(store).await;
        assert!(self.last() <= head.position, "{} is beyond the head {head}", self.last());
        assert!(self.cursors.iter().all(|(cursor, _)| cursor.fits(&head)), "all cursors are of this log");
    }

    fn take(&mut self, delivery: Delivery, log: Cursor) {
        let last = self.last();
        match delivery {
            Delivery::Events(events) => {
                let found = events.first().expect("a delivery of events has at least one");
                assert!(found.position > last, "{found:?} was passed over or delivered before: {last}");
                self.events.extend(events);
                assert!(self.events.is_sorted_by(|a, b| a.position < b.position), "events are in order");
                self.at_edge = false;
                self.cursors.push((log.at(self.last()), self.events.len()));
            }
            Delivery::CaughtUp(cursor) => {
                assert!(!self.at_edge, "an edge is told once: {cursor}");
                assert!(cursor.position >= last, "{cursor} lies before {last}");
                self.at_edge = true;
                self.edges += 1;
                self.cursors.push((cursor, self.events.len()));
            }
            Delivery::Checkpoint(cursor) => {
                assert!(cursor.position > last, "{cursor} says nothing new: {last}");
                self.checkpoints += 1;
                self.cursors.push((cursor, self.events.len()));
            }
        }
    }
}

pub async fn only_what_matches_is_delivered(store: &Store) {
    const MANY: u64 = 2000;
    many(store, MANY).await;
    for (query, is_match) in over_many() {
        for after in [0, 1, 1499, 1999, MANY] {
            let from = head(store).await.at(at(after));
            let (found, edge) = until_caught_up(&mut *follow_query(store, query.clone(), from).await).await;
            let expected: Vec<u64> = (after + 1..=MANY).filter(|number| is_match(*number)).collect();
            assert!(numbers(&found) == expected, "{} of {} matches of {query}", found.len(), expected.len());
            assert_eq!(edge, head(store).await, "the edge is behind all that was passed over");
        }
    }
}

pub async fn what_matches_comes_when_it_is_recorded(store: &Store) {
    write_others(store, 0..50).await;
    let mut subscription = follow_query(store, wanted(), Cursor::START).await;
    assert_eq!(subscription.next().await, Ok(Delivery::CaughtUp(head(store).await)), "nothing of the history matches");
    for number in 0..20 {
        write_others(store, 0..number).await;
        let cursor = write_wanted(store, number).await;
        let (found, edge) = until_caught_up(&mut *subscription).await;
        assert_eq!((numbers(&found), edge), (vec![number], cursor));
    }
    let both = QueryItem::new().types(["counted"]).tags(tags(&["wanted", "7"])).category("a");
    let (found, _) = until_caught_up(&mut *follow_query(store, both, Cursor::START).await).await;
    assert_eq!(numbers(&found), [7]);
}

pub async fn the_edge_is_not_told_again_for_what_does_not_match(store: &Store) {
    let mut subscription = follow_query(store, wanted(), Cursor::START).await;
    let mut follower = Follower::default();
    follower.next(store, &mut *subscription).await;
    assert_eq!(follower.edges, 1);
    for number in 0..10 {
        let others = write_others(store, [number]).await;
        // Waited for in vain, or not: what comes next is the event, marks apart.
        tokio::select! {
            biased;
            () = follower.next(store, &mut *subscription) => {}
            () = yields(20) => {}
        }
        assert_eq!(follower.edges, usize::try_from(number).expect("a small number") + 1);
        write_wanted(store, number).await;
        while follower.edges < usize::try_from(number).expect("a small number") + 2 {
            follower.next(store, &mut *subscription).await;
        }
        assert_eq!(follower.last(), others.position.next(), "the edge");
    }
    assert_eq!(numbers(&follower.events), (0..10).collect::<Vec<_>>());
}

pub async fn a_checkpoint_comes_when_the_log_comes_to_rest(store: &Store) {
    let first = write_wanted(store, 1).await;
    let mut subscription = follow_query(store, wanted(), Cursor::START).await;
    let (found, edge) = until_caught_up(&mut *subscription).await;
    assert_eq!((numbers(&found), edge), (vec![1], first));
    for round in 0..2 {
        let mut last = first;
        for number in 0..5 {
            last = write_others(store, [number]).await;
        }
        loop {
            // Some may come while others still write; the last covers all of it.
            match subscription.next().await {
                Ok(Delivery::Checkpoint(cursor)) if cursor == last => break,
                Ok(Delivery::Checkpoint(cursor)) => assert!(cursor.position < last.position, "{cursor}"),
                other => panic!("expected a checkpoint in round {round}: {other:?}"),
            }
        }
        assert_eq!(follow_query(store, wanted(), last).await.next().await, Ok(Delivery::CaughtUp(last)));
    }
    // With everything said, the next delivery is the next match.
    let (delivery, _) = tokio::join!(subscription.next(), write_wanted(store, 2));
    match delivery {
        Ok(Delivery::Events(news)) => assert_eq!(numbers(&news), [2]),
        other => panic!("expected event 2: {other:?}"),
    }
}

pub async fn checkpoints_come_while_only_others_write(store: &Store) {
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            let mut number = 0;
            while stopped.try_recv() == Err(tokio::sync::oneshot::error::TryRecvError::Empty) {
                write_others(&store, [number]).await;
                number += 1;
                yields(50).await;
            }
        })
    };
    let mut subscription = follow_query(store, wanted(), Cursor::START).await;
    let mut follower = Follower::default();
    // The follower checks that they lie behind one another, and not beyond the head.
    while follower.checkpoints < 2 {
        follower.next(store, &mut *subscription).await;
    }
    let first = write_wanted(store, 1).await;
    while follower.events.is_empty() {
        follower.next(store, &mut *subscription).await;
    }
    assert_eq!(positions(&follower.events), [first.position.get()]);
    stop.send(()).expect("the writer goes on until it is told");
    writer.await.expect("the writer ends");
    let last = head(store).await;
    while follower.last() < last.position {
        follower.next(store, &mut *subscription).await;
    }
}

pub async fn whoever_resumes_misses_nothing_and_gets_nothing_twice(store: &Store) {
    const ROUNDS: u64 = 60;
    let mut subscription = follow_query(store, wanted(), Cursor::START).await;
    let mut follower = Follower::default();
    for round in 0..ROUNDS {
        match round % 4 {
            0 => drop(write_others(store, 0..round).await),
            1 => drop(write_wanted(store, round).await),
            2 => {
                let both = [tagged(round, &["wanted"]), event(0), tagged(round, &["wanted"]), event(0)];
                append(store, Append::new().events(stream("c-1"), Expected::Any, both)).await;
            }
            _ => {}
        }
        // Where something was written that matches, there is something to wait for; else the wait is given up some time.
        if matches!(round % 8, 1 | 2) {
            follower.next(store, &mut *subscription).await;
            continue;
        }
        tokio::select! {
            biased;
            () = follower.next(store, &mut *subscription) => {}
            () = yields(usize::try_from(round).expect("a small number")) => {}
        }
    }
    write_others(store, [0]).await;
    let last = head(store).await;
    while follower.last() < last.position {
        follower.next(store, &mut *subscription).await;
    }
    assert!(follower.cursors.len() > 10, "there are cursors to resume from: {}", follower.cursors.len());
    let expected = find(store, wanted()).await;
    assert_eq!(positions(&follower.events), positions(&expected));
    for (cursor, delivered) in follower.cursors {
        let (rest, edge) = until_caught_up(&mut *follow_query(store, wanted(), cursor).await).await;
        let before = expected.get(..delivered).unwrap_or_default();
        assert_eq!(positions(&[before, &rest].concat()), positions(&expected), "resumed at {cursor}");
        assert_eq!(edge, last);
    }
}

pub async fn dropping_the_wait_for_a_match_loses_nothing(store: &Store) {
    const COUNT: u64 = 150;
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 0..COUNT {
                write_others(&store, 0..number % 3).await;
                write_wanted(&store, number).await;
            }
        })
    };
    let mut subscription = follow_query(store, wanted(), Cursor::START).await;
    let log = head(store).await;
    let (mut follower, mut patience) = (Follower::default(), 0);
    while (follower.events.len() as u64) < COUNT {
        tokio::select! {
            biased;
            delivery = subscription.next() => {
                follower.take(delivery.expect("the subscription goes on"), log);
                patience = 0;
            }
            () = yields(patience) => patience += 1,
        }
    }
    writer.await.expect("the writer ends");
    assert_eq!(numbers(&follower.events), (0..COUNT).collect::<Vec<_>>());
}

pub async fn a_slow_subscriber_slows_no_one(store: &Store) {
    const COUNT: u64 = 400;
    let mut slow = follow_query(store, wanted(), Cursor::START).await;
    let mut never = follow_query(store, Query::all(), Cursor::START).await;
    let mut quick = follow_query(store, wanted(), Cursor::START).await;
    assert_eq!(slow.next().await, Ok(Delivery::CaughtUp(head(store).await)));
    assert_eq!(quick.next().await, Ok(Delivery::CaughtUp(head(store).await)));
    for number in 0..COUNT {
        write_others(store, 0..10).await;
        let cursor = write_wanted(store, number).await;
        let (found, edge) = until_caught_up(&mut *quick).await;
        assert_eq!((numbers(&found), edge), (vec![number], cursor));
    }
    // The quick one may have what is still on its way to the others: there they are at an edge before it.
    let found = until_count(&mut *slow, usize::try_from(COUNT).expect("a few hundred")).await;
    assert!(numbers(&found) == (0..COUNT).collect::<Vec<_>>(), "the slow one gets all of it in the end");
    assert_eq!(until_caught_up(&mut *slow).await, (Vec::new(), head(store).await));
    let all = whole_log(store).await;
    assert!(until_count(&mut *never, all.len()).await == all, "and so does the one that never asked before");
}

pub async fn many_follow_different_queries_while_others_write(store: &Store) {
    const COUNT: u64 = 120;
    let mut readers = Vec::new();
    for reader in 0..6_u64 {
        let store = store.clone();
        readers.push(tokio::spawn(async move {
            let query = if reader == 0 { wanted() } else { Query::tags(tags(&[&format!("mod:{reader}")])) };
            let mut subscription = follow_query(&store, query.clone(), Cursor::START).await;
            let mut follower = Follower::default();
            while follower.last().get() < 2 * COUNT {
                follower.next(&store, &mut *subscription).await;
            }
            (query, follower.events)
        }));
    }
    let mut writers = Vec::new();
    for writer in 0..2 {
        let store = store.clone();
        writers.push(tokio::spawn(async move {
            for number in 0..COUNT {
                let names: Vec<String> = (1..6).filter(|by| number % by == 0).map(|by| format!("mod:{by}")).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).chain(["wanted"]).collect();
                let to = stream(&format!("w-{writer}"));
                append(&store, Append::new().events(to, Expected::Any, [tagged(number, &names)])).await;
            }
        }));
    }
    for writer in writers {
        writer.await.expect("the writer ends");
    }
    for reader in readers {
        let (query, found) = reader.await.expect("the reader ends");
        assert!(!found.is_empty(), "{query} finds something");
        assert!(found == find(store, query.clone()).await, "a subscription to {query} delivers what is read");
    }
}
