//! What a store that is closed and opened again must still know of names and times: with its index, and without.

use annalist_core::{
    Append, AppendError, Cursor, Expected, Position, Query, QueryItem, Read, RecordedEvent, Timestamp,
};

use super::{
    Reopening, Reopens, Store,
    queries::{courses, shapes},
    query_reads::{many, over_many},
    support::{
        append, at, find, fingerprint, follow_query, head, key, numbers, positions, refusal, rest, stream, tagged,
        tags, typed, until_caught_up, whole_log,
    },
};

const BOTH: [Reopening; 2] = [Reopening::AsItIs, Reopening::WithoutIndex];
const MANY: u64 = 1500;

async fn found(store: &Store) -> Vec<Vec<RecordedEvent>> {
    let mut found = Vec::new();
    for (query, _) in over_many() {
        found.push(find(store, query).await);
    }
    found
}

pub async fn queries_find_the_same(subject: &mut dyn Reopens) {
    let store = subject.store();
    many(&store, MANY).await;
    let before = found(&store).await;
    for how in BOTH {
        subject.reopen(how).await;
        assert!(found(&subject.store()).await == before, "{how:?}");
    }
}

pub async fn what_was_recorded_last_is_found(subject: &mut dyn Reopens) {
    courses(&subject.store()).await;
    for how in BOTH {
        subject.reopen(how).await;
        for (query, expected) in shapes() {
            assert_eq!(numbers(&find(&subject.store(), query.clone()).await), expected, "{query}, {how:?}");
        }
    }
}

pub async fn conditions_are_checked_against_what_was_recorded(subject: &mut dyn Reopens) {
    many(&subject.store(), MANY).await;
    let start = head(&subject.store()).await;
    for how in BOTH {
        subject.reopen(how).await;
        let store = subject.store();
        for (query, is_match) in over_many() {
            for after in [0, 700, 1499, MANY] {
                let asked = Append::new().unless(query.clone(), start.at(at(after)));
                match (after + 1..=MANY).find(|number| is_match(*number)) {
                    Some(first) => {
                        let refused =
                            AppendError::ConditionFailed { number: 1, query: query.clone(), first: at(first) };
                        assert_eq!(refusal(&store, asked).await, refused, "{how:?}");
                    }
                    None => assert_eq!(append(&store, asked).await.cursor, start, "{query} behind {after}, {how:?}"),
                }
            }
        }
    }
}

pub async fn names_are_claimed_once_through_many_reopenings(subject: &mut dyn Reopens) {
    let claim = |number: u64| {
        let name = format!("name:{number}");
        let one = Append::new().events(stream("claims-1"), Expected::Any, [tagged(number, &[&name, "claim"])]);
        one.unless(Query::tags(tags(&[&name])), Cursor::START)
    };
    for round in 0..8 {
        let store = subject.store();
        for number in 0..=round {
            let is_new = number == round;
            assert_eq!(store.append(claim(number)).await.is_ok(), is_new, "claim {number} in round {round}");
        }
        // The record of a keyed append without events lies between them.
        append(&store, Append::new().keyed(key(&round.to_string()), fingerprint(1), "")).await;
        subject.reopen(if round % 3 == 0 { Reopening::WithoutIndex } else { Reopening::AsItIs }).await;
    }
    let store = subject.store();
    assert_eq!(numbers(&find(&store, Query::tags(tags(&["claim"]))).await), (0..8).collect::<Vec<_>>());
    let records = find(&store, Query::types(["$commit"])).await;
    assert_eq!(positions(&records), (1..=8).map(|round| 2 * round).collect::<Vec<_>>());
}

pub async fn subscriptions_by_query_go_on(subject: &mut dyn Reopens) {
    let query = || QueryItem::new().types(["wanted"]).category("a");
    let mut cursor = Cursor::START;
    for (round, how) in (0..).zip([BOTH, BOTH].concat()) {
        let store = subject.store();
        let three = ["other", "wanted", "other"].map(|kind| typed(kind, round, &[]));
        append(&store, Append::new().events(stream("a-1"), Expected::Any, three)).await;
        subject.reopen(how).await;
        let store = subject.store();
        let (found, edge) = until_caught_up(&mut *follow_query(&store, query(), cursor).await).await;
        assert_eq!((numbers(&found), edge), (vec![round], head(&store).await), "{how:?}");
        cursor = edge;
    }
}

pub async fn times_and_counts_are_the_same(subject: &mut dyn Reopens) {
    let store = subject.store();
    many(&store, MANY).await;
    let log = whole_log(&store).await;
    let before = store.statistics().await.expect("a store knows what it holds");
    for how in BOTH {
        subject.reopen(how).await;
        let store = subject.store();
        let found = store.statistics().await.expect("a store knows what it holds");
        assert_eq!(
            (found.head, found.streams, found.event_bytes),
            (before.head, before.streams, before.event_bytes),
            "{how:?}"
        );
        for event in log.iter().step_by(101).chain(log.last()) {
            for time in [event.time, Timestamp::from_micros(event.time.as_micros() + 1)] {
                let scanned = log.iter().filter(|event| event.time < time).count() as u64;
                assert_eq!(store.position_before(time).await, Ok(at(scanned)), "before {time}, {how:?}");
            }
        }
    }
}

pub async fn a_read_knows_the_head(subject: &mut dyn Reopens) {
    courses(&subject.store()).await;
    let before = head(&subject.store()).await;
    for how in BOTH {
        subject.reopen(how).await;
        let query = Read::query(Query::types(["left"]), Position::ZERO);
        let mut batches = subject.store().read(query).await.expect("the read begins");
        assert_eq!((batches.head(), numbers(&rest(&mut *batches).await)), (before, vec![6]), "{how:?}");
    }
}
