//! What a query finds: every shape of it, and the names that must not be mixed up.

use annalist_core::{
    Append, AppendError, Cursor, EventType, Expected, Invalid, NAME_BYTES_MAX, NewEvent, Position, QUERY_ITEMS_MAX,
    QUERY_NAMES_MAX, Query, QueryItem, Read, StoreError, StreamId, TYPE_BYTES_MAX,
};

use super::{
    Store,
    support::{append, event, find, fingerprint, key, numbers, positions, stream, tagged, tags, typed, whole_log},
};

/// Streams, types and tags, numbered from 1.
const COURSES: [(&str, &str, &[&str]); 11] = [
    ("course-1", "defined", &["course:1"]),
    ("course-2", "defined", &["course:2"]),
    ("student-1", "registered", &["student:1"]),
    ("course-1", "enrolled", &["course:1", "student:1"]),
    ("course-2", "enrolled", &["student:1", "course:2"]),
    ("course-1", "left", &["course:1", "student:1"]),
    ("course", "enrolled", &["course:10", "student:2"]),
    ("courses-1", "enrolled", &["course:1", "student:2", "course:1"]),
    ("course-1-2", "audited", &[]),
    ("enrolled-1", "course", &["enrolled"]),
    ("enrolled", "student:1", &["course-1"]),
];

pub(super) async fn courses(store: &Store) {
    for (number, (name, kind, tags)) in (1..).zip(COURSES) {
        append(store, Append::new().events(stream(name), Expected::Any, [typed(kind, number, tags)])).await;
    }
}

/// Queries of every shape, and what they find of [`courses`].
pub(super) fn shapes() -> Vec<(Query, &'static [u64])> {
    let item = QueryItem::new;
    vec![
        (Query::all(), &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        (Query::types(["enrolled"]), &[4, 5, 7, 8]),
        (Query::types(["left", "registered", "nothing"]), &[3, 6]),
        (Query::tags(tags(&["course:1"])), &[1, 4, 6, 8]),
        (Query::tags(tags(&["student:1", "course:1"])), &[4, 6]),
        (Query::tags(tags(&["student:1", "student:2"])), &[]),
        (Query::category("course"), &[1, 2, 4, 5, 6, 7, 9]),
        (Query::category("courses"), &[8]),
        (Query::stream(stream("course-1")), &[1, 4, 6]),
        (Query::stream(stream("course")), &[7]),
        (item().types(["enrolled", "left"]).tags(tags(&["course:1"])).into(), &[4, 6, 8]),
        (item().types(["enrolled"]).category("course").into(), &[4, 5, 7]),
        (item().tags(tags(&["student:1"])).category("student").into(), &[3]),
        (item().types(["enrolled", "left"]).tags(tags(&["student:1"])).category("course").into(), &[4, 5, 6]),
        (item().types(["left"]).tags(tags(&["student:1", "course:1"])).stream(stream("course-1")).into(), &[6]),
        (item().types(["left"]).stream(stream("course-2")).into(), &[]),
        (Query::types(["left"]).or(item().tags(tags(&["student:2"]))), &[6, 7, 8]),
        (
            Query::stream(stream("course-2")).or(item().types(["audited"])).or(item().category("enrolled")),
            &[2, 5, 9, 10, 11],
        ),
    ]
}

async fn assert_finds(store: &Store, query: impl Into<Query>, expected: &[u64]) {
    let query = query.into();
    assert_eq!(numbers(&find(store, query.clone()).await), expected, "{query}");
}

pub async fn each_shape_finds_what_it_describes(store: &Store) {
    courses(store).await;
    for (query, expected) in shapes() {
        assert_finds(store, query, expected).await;
    }
}

pub async fn an_event_that_matches_several_items_comes_once(store: &Store) {
    courses(store).await;
    let enrolled = || QueryItem::new().types(["enrolled"]);
    let overlapping = Query::of(enrolled())
        .or(enrolled())
        .or(QueryItem::new().types(["left", "enrolled", "left"]))
        .or(QueryItem::new().tags(tags(&["course:1", "course:1"])))
        .or(QueryItem::new().category("course").types(["enrolled"]));
    assert_finds(store, overlapping, &[1, 4, 5, 6, 7, 8]).await;
    let everything = Query::types(["enrolled"]).or(QueryItem::new()).or(enrolled());
    assert_finds(store, everything, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]).await;
}

pub async fn a_tag_that_is_given_twice_counts_once(store: &Store) {
    for number in 1..=3 {
        let twice = tagged(number, &["a", "b", "a", "a"]);
        append(store, Append::new().events(stream("a-1"), Expected::Any, [twice])).await;
    }
    assert_finds(store, Query::tags(tags(&["a"])), &[1, 2, 3]).await;
    assert_finds(store, Query::tags(tags(&["a", "a", "b", "a"])), &[1, 2, 3]).await;
    assert_finds(store, Query::tags(tags(&["a", "c"])), &[]).await;
}

pub async fn a_name_is_not_mixed_up_with_those_that_begin_alike(store: &Store) {
    let names = ["a", "a:", "a:1", "a:10", "a:1:0", "a:2", "A:1", "a ", "a:1é", "b", "é"];
    for (number, name) in (0..).zip(names) {
        // Each name is a tag, a type and a category; the numbers tell which.
        let home = || stream(&format!("{name}-1"));
        let events = [
            tagged(number, &[name]),
            typed(name, 100 + number, &[]),
            NewEvent { tags: tags(&["in its category"]), ..event(200 + number) },
        ];
        append(store, Append::new().events(home(), Expected::NoStream, events)).await;
    }
    for (number, name) in (0..).zip(names) {
        assert_finds(store, Query::tags(tags(&[name])), &[number]).await;
        assert_finds(store, Query::types([name]), &[100 + number]).await;
        assert_finds(store, Query::category(name), &[number, 100 + number, 200 + number]).await;
        let in_category = QueryItem::new().category(name).tags(tags(&["in its category"]));
        assert_finds(store, in_category, &[200 + number]).await;
    }
}

pub async fn type_tag_category_and_stream_of_the_same_text_are_different(store: &Store) {
    let append_one = |name, kind, number, tag| {
        append(store, Append::new().events(stream(name), Expected::Any, [typed(kind, number, &[tag])]))
    };
    append_one("z-1", "same", 1, "t").await;
    append_one("z-2", "k", 2, "same").await;
    append_one("same-1", "k", 3, "t").await;
    append_one("same", "k", 4, "t").await;
    append_one("same", "same", 5, "same").await;
    assert_finds(store, Query::types(["same"]), &[1, 5]).await;
    assert_finds(store, Query::tags(tags(&["same"])), &[2, 5]).await;
    assert_finds(store, Query::category("same"), &[3, 4, 5]).await;
    assert_finds(store, Query::stream(stream("same")), &[4, 5]).await;
    assert_finds(store, QueryItem::new().types(["same"]).tags(tags(&["same"])), &[5]).await;
    assert_finds(store, QueryItem::new().types(["k"]).category("same"), &[3, 4]).await;
}

pub async fn a_category_ends_at_the_first_dash(store: &Store) {
    for (number, name) in (1..).zip(["a-1", "a", "a-b-1", "ab-1", "a-", "a--1", "b-a"]) {
        append(store, Append::new().events(stream(name), Expected::NoStream, [event(number)])).await;
    }
    assert_finds(store, Query::category("a"), &[1, 2, 3, 5, 6]).await;
    assert_finds(store, Query::category("ab"), &[4]).await;
    assert_finds(store, Query::category("b"), &[7]).await;
    for (number, name) in (1..).zip(["a-1", "a", "a-b-1", "ab-1", "a-", "a--1", "b-a"]) {
        assert_finds(store, Query::stream(stream(name)), &[number]).await;
    }
}

pub async fn names_of_any_allowed_length_are_found(store: &Store) {
    // They differ in the last character only.
    let long = |last: char, bytes: usize| format!("{}{last}", "n".repeat(bytes - 1));
    for (number, last) in (1..).zip(['a', 'b', 'c']) {
        let (name, kind) = (long(last, NAME_BYTES_MAX), long(last, TYPE_BYTES_MAX));
        let one = typed(&kind, number, &[&name, "short"]);
        append(store, Append::new().events(stream(&name), Expected::NoStream, [one])).await;
    }
    for (number, last) in (1..).zip(['a', 'b', 'c']) {
        let (name, kind) = (long(last, NAME_BYTES_MAX), long(last, TYPE_BYTES_MAX));
        assert_finds(store, Query::tags(tags(&[&name])), &[number]).await;
        assert_finds(store, Query::types([kind.clone()]), &[number]).await;
        assert_finds(store, Query::stream(stream(&name)), &[number]).await;
        assert_finds(store, Query::category(name.clone()), &[number]).await;
        let all = QueryItem::new().types([kind]).tags(tags(&["short", &name])).stream(stream(&name));
        assert_finds(store, all, &[number]).await;
    }
    let shorter = "n".repeat(NAME_BYTES_MAX - 1);
    assert_finds(store, Query::tags(tags(&[&shorter])), &[]).await;
    assert_finds(store, Query::category(shorter), &[]).await;
}

pub async fn a_type_is_found_in_all_its_versions(store: &Store) {
    for version in [1, 2, 7, u16::MAX] {
        let event_type = EventType::versioned("shaped", version).expect("a valid type");
        let one = NewEvent { event_type, ..event(version) };
        append(store, Append::new().events(stream("a-1"), Expected::Any, [one])).await;
    }
    assert_finds(store, Query::types(["shaped"]), &[1, 2, 7, u64::from(u16::MAX)]).await;
    assert_finds(store, Query::types(["shaped.v2"]), &[]).await;
}

pub async fn the_records_of_the_store_are_found_too(store: &Store) {
    append(store, Append::new().events(stream("a-1"), Expected::Any, [event(1)])).await;
    append(store, Append::new().keyed(key("nothing"), fingerprint(1), "")).await;
    append(store, Append::new().events(stream("a-1"), Expected::Any, [event(3)])).await;
    append(store, Append::new().keyed(key("nothing else"), fingerprint(1), "")).await;
    assert_eq!(positions(&find(store, Query::all()).await), [1, 2, 3, 4]);
    assert!(find(store, Query::all()).await == whole_log(store).await, "everything is the whole log");
    for query in [Query::stream(StreamId::system()), Query::category("$commits"), Query::types(["$commit"])] {
        assert_eq!(positions(&find(store, query.clone()).await), [2, 4], "{query}");
    }
    assert_finds(store, Query::category("a"), &[1, 3]).await;
}

pub async fn what_nothing_matches_is_empty(store: &Store) {
    let queries = || {
        let missing = [Query::types(["missing"]), Query::tags(tags(&["missing"])), Query::category("missing")];
        missing.into_iter().chain([Query::stream(stream("missing-1"))])
    };
    for query in queries().chain([Query::all()]) {
        assert_finds(store, query, &[]).await;
    }
    courses(store).await;
    for query in queries().chain(queries().reduce(|mut all, one| {
        all.items.extend(one.items);
        all
    })) {
        assert_finds(store, query, &[]).await;
    }
}

pub async fn the_largest_query_is_answered(store: &Store) {
    let name = |number: usize| format!("{number:0NAME_BYTES_MAX$}");
    for number in 0..QUERY_NAMES_MAX {
        let one = tagged(number, &[&name(number), &name(number / 4)]);
        append(store, Append::new().events(stream("a-1"), Expected::Any, [one])).await;
    }
    let per_item = QUERY_NAMES_MAX / QUERY_ITEMS_MAX;
    // An item's names are a type and the same tag again and again; an event has two of the tags.
    let items = (0..QUERY_ITEMS_MAX).map(|number| {
        let tag = name(number);
        QueryItem::new().types(["counted"]).tags(tags(&vec![tag.as_str(); per_item - 1]))
    });
    let query: Query = items.collect();
    assert_eq!(query.check(), Ok(()));
    let expected: Vec<u64> = (0..QUERY_NAMES_MAX as u64).collect();
    assert_finds(store, query, &expected).await;
}

/// Whether it is this rule that is broken.
type Rule = fn(&Invalid) -> bool;

pub async fn a_query_that_breaks_a_rule_is_refused(store: &Store) {
    courses(store).await;
    let many = |count: usize| (0..count).map(|number| QueryItem::new().types([number.to_string()])).collect();
    let names: Vec<String> = (0..=QUERY_NAMES_MAX).map(|number| number.to_string()).collect();
    let query: fn(QueryItem) -> Query = Query::of;
    let rules: [(Query, Rule); 8] = [
        (std::iter::empty().collect(), |broken| *broken == Invalid::EmptyQuery),
        (
            many(QUERY_ITEMS_MAX + 1),
            |broken| matches!(broken, Invalid::TooMany { actual, limit: QUERY_ITEMS_MAX, .. } if *actual == QUERY_ITEMS_MAX + 1),
        ),
        (
            query(QueryItem::new().types(names)),
            |broken| matches!(broken, Invalid::TooMany { actual, limit: QUERY_NAMES_MAX, .. } if *actual == QUERY_NAMES_MAX + 1),
        ),
        (Query::types([""]), |broken| matches!(broken, Invalid::Empty { .. })),
        (Query::types(["t".repeat(TYPE_BYTES_MAX + 1)]), |broken| matches!(broken, Invalid::TooLong { .. })),
        (Query::category("a-1"), |broken| matches!(broken, Invalid::Category { .. })),
        (Query::category("n".repeat(NAME_BYTES_MAX + 1)), |broken| matches!(broken, Invalid::TooLong { .. })),
        // One good item does not make up for a bad one, nor does one that matches everything.
        (Query::all().or(QueryItem::new().category("a\nb")), |broken| {
            matches!(broken, Invalid::ControlCharacter { at: 1, .. })
        }),
    ];
    for (query, is_as_expected) in rules {
        for read in [Read::query(query.clone(), Position::ZERO), Read::query_backward(query.clone(), Position::MAX)] {
            match store.read(read).await.err() {
                Some(StoreError::Invalid(broken)) => assert!(is_as_expected(&broken), "{broken:?}"),
                other => panic!("expected that the query is refused: {other:?}"),
            }
        }
        match store.subscribe(query.clone(), Cursor::START).await.err() {
            Some(StoreError::Invalid(broken)) => assert!(is_as_expected(&broken), "{broken:?}"),
            other => panic!("expected that the query is refused: {other:?}"),
        }
        let conditional = Append::new().events(stream("a-1"), Expected::Any, [event(0)]);
        match store.append(conditional.unless(query, Cursor::START)).await {
            Err(AppendError::Invalid(broken)) => assert!(is_as_expected(&broken), "{broken:?}"),
            other => panic!("expected that the condition is refused: {other:?}"),
        }
    }
    assert_eq!(whole_log(store).await.len(), COURSES.len(), "what is refused is not recorded");
}
