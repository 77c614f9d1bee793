//! Finite reads by query: bounds, limits, long logs, and what is part of a read.

use annalist_core::{Append, Cursor, Expected, Position, Query, QueryItem, Read, Version};

use super::{
    Store,
    queries::{courses, shapes},
    reads::{CUTS, backward, forward},
    support::{append, at, event, find, head, numbers, positions, read, rest, stream, tagged, tags, typed},
};

/// What of the numbers found passes a bound and a limit.
fn cut(numbers: &[u64], bound: u64, limit: u64) -> Vec<u64> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    numbers.iter().copied().filter(|number| *number > bound).take(limit).collect()
}

fn cut_backwards(numbers: &[u64], bound: u64, limit: u64) -> Vec<u64> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    numbers.iter().rev().copied().filter(|number| *number < bound).take(limit).collect()
}

pub async fn bounds_and_limits_cut_what_is_found(store: &Store) {
    courses(store).await;
    for (query, expected) in shapes() {
        for bound in CUTS {
            for limit in [0, 1, 2, 3, u64::MAX] {
                let found = read(store, Read::query(query.clone(), at(bound)).limit(limit)).await;
                assert_eq!(numbers(&found), cut(expected, bound, limit), "{query} after {bound}, at most {limit}");
                let found = read(store, Read::query_backward(query.clone(), at(bound)).limit(limit)).await;
                let expected = cut_backwards(expected, bound, limit);
                assert_eq!(numbers(&found), expected, "{query} before {bound}, at most {limit}");
            }
        }
    }
}

/// More than fits a batch, a page or a chunk of an index.
const MANY: u64 = 3000;

/// Events numbered by their positions, with tags for what they can be divided by; one in three in `odd-…`.
pub(super) async fn many(store: &Store, count: u64) {
    let one = |number: u64| {
        let divisors: Vec<String> = [2, 3, 100, 1499]
            .into_iter()
            .filter(|by| number.is_multiple_of(*by))
            .map(|by| format!("by:{by}"))
            .collect();
        let names: Vec<&str> = divisors.iter().map(String::as_str).collect();
        let kind = if number.is_multiple_of(5) { "fifth" } else { "other" };
        let name = if number.is_multiple_of(3) { format!("odd-{}", number % 7) } else { "even-1".to_owned() };
        (stream(&name), typed(kind, number, &names))
    };
    let mut next = 1;
    for size in [1, 40, 3, 600, 7].into_iter().cycle() {
        let end = (next + size).min(count + 1);
        let these = (next..end)
            .map(one)
            .fold(Append::new(), |append, (stream, event)| append.events(stream, Expected::Any, [event]));
        append(store, these).await;
        next = end;
        if next > count {
            break;
        }
    }
}

/// Whether the event of this number matches.
type IsMatch = fn(u64) -> bool;

/// Queries over [`many`], and which numbers they find: frequent, rare, narrowed and united.
pub(super) fn over_many() -> Vec<(Query, IsMatch)> {
    let tagged = |names: &[&str]| QueryItem::new().tags(tags(names));
    vec![
        (Query::all(), |_| true),
        (tagged(&["by:2"]).into(), |n| n % 2 == 0),
        (tagged(&["by:2", "by:3"]).into(), |n| n % 6 == 0),
        (tagged(&["by:1499"]).into(), |n| n % 1499 == 0),
        (tagged(&["by:2", "by:1499"]).into(), |n| n == 2998),
        (tagged(&["by:3", "by:1499"]).into(), |_| false),
        (Query::types(["fifth"]), |n| n % 5 == 0),
        (Query::types(["fifth", "other"]), |_| true),
        (Query::category("odd"), |n| n % 3 == 0),
        (Query::stream(stream("odd-4")), |n| n % 3 == 0 && n % 7 == 4),
        (tagged(&["by:100"]).types(["fifth"]).category("odd").into(), |n| n % 300 == 0),
        (tagged(&["by:1499"]).types(["other"]).into(), |n| n % 1499 == 0),
        (Query::of(tagged(&["by:100"])).or(tagged(&["by:1499"])).or(QueryItem::new().stream(stream("odd-0"))), |n| {
            n % 100 == 0 || n % 1499 == 0 || n % 21 == 0
        }),
    ]
}

pub async fn matches_in_a_long_log_are_found_in_both_directions(store: &Store) {
    many(store, MANY).await;
    for (query, is_match) in over_many() {
        let expected: Vec<u64> = (1..=MANY).filter(|number| is_match(*number)).collect();
        let found = find(store, query.clone()).await;
        assert!(numbers(&found) == expected, "{} of {} matches of {query}", found.len(), expected.len());
        assert_eq!(positions(&found), numbers(&found));
        for (bound, limit) in [(1, 700), (1498, 2), (1499, 1), (1500, 1000), (MANY - 1, 5), (MANY, 1)] {
            let found = read(store, Read::query(query.clone(), at(bound)).limit(limit)).await;
            assert!(numbers(&found) == cut(&expected, bound, limit), "{query} after {bound}, at most {limit}");
            let found = read(store, Read::query_backward(query.clone(), at(bound)).limit(limit)).await;
            let cut = cut_backwards(&expected, bound, limit);
            assert!(numbers(&found) == cut, "{query} before {bound}, at most {limit}");
        }
    }
}

pub async fn everything_is_found_as_without_a_query(store: &Store) {
    many(store, 1000).await;
    for bound in [0, 1, 500, 999, 1000, u64::MAX] {
        for limit in [0, 1, 300, u64::MAX] {
            let found = read(store, Read::query(Query::all(), at(bound)).limit(limit)).await;
            assert!(numbers(&found) == forward(1000, bound, limit), "after {bound}, at most {limit}");
            assert!(found == read(store, Read::all(at(bound)).limit(limit)).await, "after {bound}, at most {limit}");
            let found = read(store, Read::query_backward(Query::all(), at(bound)).limit(limit)).await;
            assert!(numbers(&found) == backward(1000, bound, limit), "before {bound}, at most {limit}");
        }
    }
}

pub async fn a_read_by_query_sees_the_log_as_it_was_when_it_began(store: &Store) {
    many(store, MANY).await;
    let query = || Query::tags(tags(&["by:2"]));
    let begin = async |read| store.read(read).await.expect("the read begins");
    let mut forwards = begin(Read::query(query(), Position::ZERO)).await;
    let mut backwards = begin(Read::query_backward(query(), Position::MAX)).await;
    let mut nothing = begin(Read::query(Query::types(["later"]), Position::ZERO)).await;
    let first = forwards.next().await.expect("the read goes on");
    for number in 0..50 {
        let later = typed("later", 2 * (MANY + number), &["by:2"]);
        append(store, Append::new().events(stream("even-1"), Expected::Any, [later])).await;
    }
    let expected: Vec<u64> = (1..=MANY).filter(|number| number % 2 == 0).collect();
    let found = [first, rest(&mut *forwards).await].concat();
    assert!(numbers(&found) == expected, "{} of {} events forwards", found.len(), expected.len());
    let mut found = numbers(&rest(&mut *backwards).await);
    found.reverse();
    assert!(found == expected, "{} of {} events backwards", found.len(), expected.len());
    assert_eq!(rest(&mut *nothing).await, []);
    assert_eq!(find(store, query()).await.len(), expected.len() + 50);
}

fn every_source() -> Vec<Read> {
    let query = || Query::tags(tags(&["t"]));
    let bounded = vec![
        Read::all(Position::ZERO),
        Read::all_backward(Position::MAX),
        Read::stream(stream("a-1"), Version::ZERO),
        Read::stream_backward(stream("a-1"), Version::MAX),
        Read::stream(stream("missing-1"), Version::ZERO),
        Read::query(query(), Position::ZERO),
        Read::query_backward(query(), Position::MAX),
        Read::query(Query::all(), Position::ZERO),
        Read::query(Query::types(["missing"]), Position::ZERO),
    ];
    let limited = bounded.clone().into_iter().map(|read| read.limit(1));
    let empty = [Read::all(Position::MAX), Read::query(query(), Position::MAX), Read::query_backward(query(), at(1))];
    bounded.iter().cloned().chain(limited).chain(empty).collect()
}

pub async fn a_read_says_what_the_head_was_when_it_began(store: &Store) {
    let empty = head(store).await;
    for number in 0..30 {
        let before = head(store).await;
        assert_eq!(before, empty.at(at(2 * number)));
        let mut reads = Vec::new();
        for read in every_source() {
            let batches = store.read(read.clone()).await.expect("the read begins");
            assert_eq!(batches.head(), before, "{read:?}");
            reads.push((read, batches));
        }
        let two = [tagged(2 * number, &["t"]), event(2 * number + 1)];
        append(store, Append::new().events(stream("a-1"), Expected::Any, two)).await;
        for (read, mut batches) in reads {
            let found = rest(&mut *batches).await;
            assert_eq!(batches.head(), before, "it stays the same to the end: {read:?}");
            assert!(found.iter().all(|event| event.position <= before.position), "nothing is behind it: {read:?}");
        }
    }
}

pub async fn readers_by_query_see_whole_appends_and_all_up_to_the_head(store: &Store) {
    const APPENDS: u64 = 100;
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 0..APPENDS {
                let (three, other) = ([1, 2, 3].map(|number| tagged(number, &["whole"])), event(4));
                let both = Append::new().events(stream(&format!("whole-{}", number % 5)), Expected::Any, three);
                append(&store, both.events(stream("other-1"), Expected::Any, [other])).await;
            }
        })
    };
    let mut seen = 0;
    while seen < APPENDS * 3 {
        let mut batches =
            store.read(Read::query(Query::tags(tags(&["whole"])), Position::ZERO)).await.expect("the read begins");
        let Cursor { position: head, .. } = batches.head();
        let count = rest(&mut *batches).await.len() as u64;
        assert_eq!(head.get() % 4, 0, "a head stands behind a whole append");
        assert_eq!(count, head.get() / 4 * 3, "all that matches up to {head}, and nothing behind it");
        assert!(count >= seen, "what was seen stays");
        seen = count;
    }
    writer.await.expect("the writer ends");
}
