//! Conditions: what must not be in the log for an append to be recorded.

use annalist_core::{
    APPEND_CONDITIONS_MAX, Append, AppendError, Cursor, Epoch, Expected, Invalid, Position, Query, QueryItem,
    StoreError, StoreId, StreamId, Version,
};

use super::{
    Store,
    queries::{courses, shapes},
    query_reads::{many, over_many},
    support::{
        append, at, event, events, fingerprint, follow, head, key, numbers, refusal, stream, tagged, tags,
        until_caught_up, version, whole_log, whole_stream,
    },
};

fn failed(number: usize, query: impl Into<Query>, first: u64) -> AppendError {
    AppendError::ConditionFailed { number, query: query.into(), first: at(first) }
}

fn by_tag(name: &str) -> Query {
    Query::tags(tags(&[name]))
}

/// An append of one event to a stream that the cases do not look at.
fn one() -> Append {
    Append::new().events(stream("news-1"), Expected::Any, [event(0)])
}

pub async fn without_a_cursor_nothing_at_all_may_match(store: &Store) {
    let claim = |name| {
        let claimed = Append::new().events(stream("name-1"), Expected::Any, [tagged(name, &[name])]);
        claimed.unless(by_tag(name), Cursor::START)
    };
    append(store, claim("ada")).await;
    append(store, claim("bob")).await;
    assert_eq!(refusal(store, claim("ada")).await, failed(1, by_tag("ada"), 1));
    assert_eq!(refusal(store, claim("bob")).await, failed(1, by_tag("bob"), 2));
    append(store, claim("cleo")).await;
    // The beginning of this very log is as good.
    let beginning = head(store).await.at(Position::ZERO);
    assert_eq!(refusal(store, one().unless(by_tag("bob"), beginning)).await, failed(1, by_tag("bob"), 2));
    assert_eq!(whole_log(store).await.len(), 3);
}

pub async fn only_what_stands_behind_the_cursor_counts(store: &Store) {
    courses(store).await;
    let start = head(store).await;
    for (query, matches) in shapes() {
        for after in 0..=start.position.get() {
            let asked = Append::new().unless(query.clone(), start.at(at(after)));
            match matches.iter().find(|number| **number > after) {
                Some(first) => assert_eq!(refusal(store, asked).await, failed(1, query.clone(), *first), "{query}"),
                None => assert_eq!(append(store, asked).await.cursor, start, "{query} behind {after}"),
            }
        }
    }
}

pub async fn matches_are_found_wherever_they_stand_in_a_long_log(store: &Store) {
    const MANY: u64 = 3000;
    many(store, MANY).await;
    let start = head(store).await;
    for (query, is_match) in over_many() {
        for after in [0, 1, 99, 1498, 1499, 1500, 2000, MANY - 10, MANY - 1, MANY] {
            let asked = Append::new().unless(query.clone(), start.at(at(after)));
            match (after + 1..=MANY).find(|number| is_match(*number)) {
                Some(first) => assert_eq!(refusal(store, asked).await, failed(1, query.clone(), first), "{query}"),
                None => assert_eq!(append(store, asked).await.cursor, start, "{query} behind {after}"),
            }
        }
    }
}

pub async fn the_first_condition_that_fails_is_named(store: &Store) {
    let recorded = append(store, Append::new().events(stream("a-1"), Expected::Any, [tagged(1, &["a"])])).await;
    append(store, Append::new().events(stream("b-1"), Expected::Any, [tagged(2, &["b"])])).await;
    append(store, Append::new().events(stream("b-1"), Expected::Any, [tagged(3, &["b"])])).await;
    let (holds, fails_too) = (by_tag("c"), Query::category("b"));
    let asked = one().unless(holds, Cursor::START).unless(by_tag("a"), recorded.cursor);
    assert_eq!(
        refusal(store, asked.clone().unless(by_tag("b"), Cursor::START).unless(fails_too.clone(), Cursor::START)).await,
        failed(3, by_tag("b"), 2)
    );
    let asked = asked.unless(fails_too.clone(), recorded.cursor.at(at(2))).unless(by_tag("b"), Cursor::START);
    assert_eq!(refusal(store, asked).await, failed(3, fails_too, 3));
}

pub async fn an_appends_own_events_do_not_count(store: &Store) {
    for number in 0..3 {
        let own = Append::new()
            .events(stream("own-1"), Expected::Any, [tagged(number, &["own", &number.to_string()]), event(number)])
            .unless(by_tag(&number.to_string()), Cursor::START)
            .unless(Query::all(), head(store).await)
            .unless(Query::stream(stream("own-1")), head(store).await);
        append(store, own).await;
    }
    assert_eq!(numbers(&whole_log(store).await), [0, 0, 1, 1, 2, 2]);
}

pub async fn nothing_new_at_all_can_be_a_condition(store: &Store) {
    let mut seen = head(store).await;
    for _ in 0..5 {
        let appended = append(store, one().unless(Query::all(), seen)).await;
        let first = appended.cursor.position.get();
        assert_eq!(refusal(store, one().unless(Query::all(), seen)).await, failed(1, Query::all(), first));
        // The store's own records count like any other.
        let record = append(store, Append::new().keyed(key(&first.to_string()), fingerprint(1), "")).await;
        let missed = one().unless(Query::all(), appended.cursor);
        assert_eq!(refusal(store, missed).await, failed(1, Query::all(), first + 1));
        let system = Query::stream(StreamId::system());
        assert_eq!(refusal(store, one().unless(system.clone(), appended.cursor)).await, failed(1, system, first + 1));
        seen = record.cursor;
    }
    assert_eq!(whole_log(store).await.len(), 10);
}

pub async fn the_streams_are_looked_at_before_the_conditions(store: &Store) {
    append(store, Append::new().events(stream("a-1"), Expected::Any, [tagged(1, &["a"])])).await;
    let (expected, actual) = (Expected::NoStream, version(1));
    let conflict = AppendError::Conflict { stream: stream("a-1"), expected, actual };
    for both in [
        Append::new().unless(by_tag("a"), Cursor::START).events(stream("a-1"), expected, [event(2)]),
        one().unless(by_tag("a"), Cursor::START).guard(stream("a-1"), expected),
        // A cursor that does not fit is a matter of the conditions too.
        one().unless(by_tag("a"), head(store).await.at(Position::MAX)).guard(stream("a-1"), expected),
    ] {
        assert_eq!(refusal(store, both).await, conflict);
    }
    let good = one().guard(stream("a-1"), Expected::StreamExists).unless(by_tag("a"), Cursor::START);
    assert_eq!(refusal(store, good).await, failed(1, by_tag("a"), 1));
}

pub async fn the_key_is_looked_at_before_the_conditions(store: &Store) {
    let claim = |print| {
        let claimed = Append::new().events(stream("name-1"), Expected::Any, [tagged(1, &["ada"])]);
        claimed.unless(by_tag("ada"), Cursor::START).keyed(key("k"), fingerprint(print), "reply")
    };
    let first = append(store, claim(1)).await;
    for again in [claim(1), claim(1).unless(Query::all(), first.cursor.at(at(99)))] {
        let answer = append(store, again).await;
        assert!(answer.repeated, "the condition does not hold any more, and that does not matter");
        assert_eq!((answer.after, answer.cursor, answer.streams), (first.after, first.cursor, first.streams.clone()));
    }
    assert_eq!(refusal(store, claim(2)).await, AppendError::KeyReused { key: key("k") });
    assert_eq!(whole_log(store).await.len(), 1);
}

pub async fn a_cursor_that_does_not_belong_is_refused(store: &Store) {
    let head = append(store, Append::new().events(stream("a-1"), Expected::Any, events(1..=3))).await.cursor;
    let another = StoreId::new(uuid::Uuid::from_u128(!head.store.uuid().as_u128()));
    for cursor in [
        Cursor { store: another, ..head },
        Cursor { store: another, ..head.at(at(0)) },
        Cursor { epoch: Epoch::new(head.epoch.get() + 1), ..head },
        head.at(at(4)),
        head.at(Position::MAX),
        Cursor::START.at(at(1)),
    ] {
        let foreign = AppendError::Store(StoreError::ForeignCursor { cursor, head });
        assert_eq!(refusal(store, one().unless(by_tag("a"), cursor)).await, foreign);
        let second = one().unless(by_tag("a"), head).unless(Query::all(), cursor);
        assert_eq!(refusal(store, second.keyed(key("k"), fingerprint(1), "")).await, foreign);
        let behind_a_failure = one().unless(Query::all(), Cursor::START).unless(Query::all(), cursor);
        assert_eq!(refusal(store, behind_a_failure).await, failed(1, Query::all(), 1));
    }
    assert_eq!(whole_log(store).await.len(), 3);
}

pub async fn conditions_alone_write_nothing(store: &Store) {
    let held = append(store, Append::new().unless(Query::all(), Cursor::START)).await;
    assert_eq!((held.after, held.cursor.position), (at(0), at(0)));
    append(store, Append::new().events(stream("a-1"), Expected::Any, [tagged(1, &["a"])])).await;
    let held = append(store, Append::new().unless(by_tag("b"), Cursor::START)).await;
    assert_eq!((held.after, held.cursor), (at(1), head(store).await));
    assert_eq!((held.streams, held.repeated), (vec![], false));
    let asked = Append::new().unless(by_tag("a"), Cursor::START);
    assert_eq!(refusal(store, asked).await, failed(1, by_tag("a"), 1));
    assert_eq!(numbers(&whole_log(store).await), [1]);
}

pub async fn conditions_with_a_key_alone_are_recorded(store: &Store) {
    let asked = |name| Append::new().unless(by_tag(name), Cursor::START).keyed(key(name), fingerprint(1), name);
    append(store, Append::new().events(stream("a-1"), Expected::Any, [tagged(1, &["a"])])).await;
    assert_eq!(refusal(store, asked("a")).await, failed(1, by_tag("a"), 1));
    assert_eq!(store.outcome(&key("a")).await, Ok(None), "a refused append leaves its key free");
    let answer = append(store, asked("b")).await;
    assert_eq!((answer.after, answer.cursor), (at(1), head(store).await));
    assert_eq!(answer.streams, [(StreamId::system(), version(1))]);
    append(store, Append::new().events(stream("a-1"), Expected::Any, [tagged(2, &["b"])])).await;
    assert!(append(store, asked("b")).await.repeated, "it held when it was recorded");
}

pub async fn conditions_go_with_guards(store: &Store) {
    append(store, Append::new().events(stream("a-1"), Expected::Any, [tagged(1, &["a"])])).await;
    let both = |guard, query| one().guard(stream("a-1"), guard).unless(query, Cursor::START);
    append(store, both(Expected::Exact(version(1)), by_tag("b"))).await;
    let conflict = AppendError::Conflict { stream: stream("a-1"), expected: Expected::NoStream, actual: version(1) };
    assert_eq!(refusal(store, both(Expected::NoStream, by_tag("b"))).await, conflict);
    assert_eq!(refusal(store, both(Expected::Exact(version(1)), by_tag("a"))).await, failed(1, by_tag("a"), 1));
    let nothing = Append::new().guard(stream("a-1"), Expected::StreamExists).unless(by_tag("b"), Cursor::START);
    assert_eq!(append(store, nothing).await.streams, []);
    assert_eq!(whole_log(store).await.len(), 2);
}

pub async fn what_a_condition_refuses_leaves_no_trace(store: &Store) {
    append(store, Append::new().events(stream("a-1"), Expected::Any, [tagged(1, &["a"])])).await;
    let before = head(store).await;
    let mut subscription = follow(store, before).await;
    assert_eq!(until_caught_up(&mut *subscription).await, (vec![], before));
    for number in 2..=20 {
        let refused = Append::new()
            .events(stream("a-1"), Expected::Any, [tagged(number, &["b"])])
            .events(stream("b-1"), Expected::NoStream, [tagged(number, &["b"])])
            .unless(by_tag("b"), Cursor::START)
            .unless(by_tag("a"), Cursor::START);
        let refused = refused.keyed(key("k"), fingerprint(1), "reply");
        assert_eq!(refusal(store, refused).await, failed(2, by_tag("a"), 1), "the refused before are not found");
    }
    assert_eq!((head(store).await, numbers(&whole_log(store).await)), (before, vec![1]));
    assert_eq!(whole_stream(store, "b-1").await, []);
    assert_eq!(store.outcome(&key("k")).await, Ok(None));
    append(store, Append::new().events(stream("a-1"), Expected::Exact(version(1)), [event(21)])).await;
    append(store, Append::new().events(stream("b-1"), Expected::Exact(Version::ZERO), [event(22)])).await;
    let (found, _) = until_caught_up(&mut *subscription).await;
    assert_eq!(numbers(&found).first(), Some(&21), "a refused append is not delivered either");
}

pub async fn as_many_conditions_as_allowed_are_checked(store: &Store) {
    append(store, Append::new().events(stream("a-1"), Expected::Any, [tagged(1, &["a"])])).await;
    let many =
        |count| (1..=count).fold(one(), |append, number| append.unless(by_tag(&number.to_string()), Cursor::START));
    append(store, many(APPEND_CONDITIONS_MAX)).await;
    let last = many(APPEND_CONDITIONS_MAX - 1).unless(QueryItem::new().stream(stream("a-1")), Cursor::START);
    assert_eq!(refusal(store, last).await, failed(APPEND_CONDITIONS_MAX, Query::stream(stream("a-1")), 1));
    match refusal(store, many(APPEND_CONDITIONS_MAX + 1)).await {
        AppendError::TooLarge { actual, limit, .. } => {
            assert_eq!((actual, limit), (APPEND_CONDITIONS_MAX + 1, APPEND_CONDITIONS_MAX));
        }
        other => panic!("expected that there are too many: {other:?}"),
    }
    let second = one().unless(by_tag("b"), Cursor::START).unless(Query::category("a-1"), Cursor::START);
    assert_eq!(refusal(store, second).await, AppendError::Invalid(Invalid::Category { value: "a-1".into() }));
    assert_eq!(whole_log(store).await.len(), 2);
}

pub async fn what_was_just_recorded_is_seen(store: &Store) {
    let mut seen = head(store).await;
    for number in 1..=300 {
        let names = [format!("n:{number}"), format!("n:{}", number % 10)];
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let to = stream(&format!("fresh-{}", number % 7));
        let fresh = Append::new().events(to.clone(), Expected::Any, [tagged(number, &names)]);
        let appended = append(store, fresh.unless(Query::all(), seen)).await;
        let first = appended.cursor.position.get();
        for query in [Query::tags(tags(&names)), Query::stream(to), Query::types(["counted"]), Query::category("fresh")]
        {
            assert_eq!(refusal(store, one().unless(query.clone(), seen)).await, failed(1, query.clone(), first));
            append(store, Append::new().unless(query, appended.cursor)).await;
        }
        seen = appended.cursor;
    }
}
