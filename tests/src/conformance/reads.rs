//! Finite reads.

use annalist_core::{Append, Expected, Position, Query, Read, RecordedEvent, Version};

use super::{
    Store,
    support::{
        append, at, event, events, fingerprint, key, numbers, positions, read, rest, stream, version, whole_log,
    },
};

/// Bounds and limits inside, at and beyond the borders of a few events.
pub(super) const CUTS: [u64; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, u64::MAX - 1, u64::MAX];

/// What a read of things numbered from 1 to `last` must find.
pub(super) fn forward(last: u64, after: u64, limit: u64) -> Vec<u64> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    (1..=last).filter(|number| *number > after).take(limit).collect()
}

pub(super) fn backward(last: u64, before: u64, limit: u64) -> Vec<u64> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    (1..=last).rev().filter(|number| *number < before).take(limit).collect()
}

/// Seven events, three of them in `a-1` and four in `b-1`.
async fn seven(store: &Store) {
    for (number, name) in (1..).zip(["a-1", "b-1", "b-1", "a-1", "b-1", "a-1", "b-1"]) {
        append(store, Append::new().events(stream(name), Expected::Any, [event(number)])).await;
    }
}

pub async fn bounds_and_limits_cut_the_log(store: &Store) {
    seven(store).await;
    for bound in CUTS {
        for limit in CUTS {
            let found = read(store, Read::all(at(bound)).limit(limit)).await;
            assert_eq!(positions(&found), forward(7, bound, limit), "after {bound}, at most {limit}");
            assert_eq!(numbers(&found), positions(&found));
            let found = read(store, Read::all_backward(at(bound)).limit(limit)).await;
            assert_eq!(positions(&found), backward(7, bound, limit), "before {bound}, at most {limit}");
            assert_eq!(numbers(&found), positions(&found));
        }
    }
}

pub async fn bounds_and_limits_cut_a_stream(store: &Store) {
    seven(store).await;
    for (name, payloads) in [("a-1", &[1, 4, 6][..]), ("b-1", &[2, 3, 5, 7]), ("missing-1", &[])] {
        let payload = |version: u64| version.checked_sub(1).and_then(|at| payloads.get(usize::try_from(at).ok()?));
        let expected = |versions: Vec<u64>| versions.into_iter().filter_map(payload).copied().collect::<Vec<u64>>();
        for bound in CUTS {
            for limit in CUTS {
                let last = payloads.len() as u64;
                let found = read(store, Read::stream(stream(name), version(bound)).limit(limit)).await;
                assert_eq!(numbers(&found), expected(forward(last, bound, limit)), "{name} after {bound} ≤ {limit}");
                let found = read(store, Read::stream_backward(stream(name), version(bound)).limit(limit)).await;
                assert_eq!(numbers(&found), expected(backward(last, bound, limit)), "{name} before {bound} ≤ {limit}");
            }
        }
    }
}

/// `count` events, numbered by their positions, in three streams by turns; appended in pieces of different sizes.
async fn many(store: &Store, count: u64) {
    let mut next = 1;
    for size in [1, 50, 3, 700, 7].into_iter().cycle() {
        let end = (next + size).min(count + 1);
        let append_these = (next..end).fold(Append::new(), |append, number| {
            append.events(stream(&format!("many-{}", number % 3)), Expected::Any, [event(number)])
        });
        append(store, append_these).await;
        next = end;
        if next > count {
            break;
        }
    }
}

const MANY: u64 = 3000;

pub async fn a_long_log_is_read_whole_in_both_directions(store: &Store) {
    many(store, MANY).await;
    for (bound, limit) in [(0, u64::MAX), (1, 700), (1499, 1000), (MANY - 1, 5)] {
        let found = read(store, Read::all(at(bound)).limit(limit)).await;
        assert!(numbers(&found) == forward(MANY, bound, limit), "after {bound}, at most {limit}");
    }
    for (bound, limit) in [(u64::MAX, u64::MAX), (MANY, 700), (1500, 1000), (2, 5)] {
        let found = read(store, Read::all_backward(at(bound)).limit(limit)).await;
        assert!(numbers(&found) == backward(MANY, bound, limit), "before {bound}, at most {limit}");
    }
}

pub async fn a_long_stream_is_read_whole_in_both_directions(store: &Store) {
    many(store, MANY).await;
    let name = || stream("many-1");
    let expected = |versions: Vec<u64>| versions.into_iter().map(|version| 3 * version - 2).collect::<Vec<_>>();
    let last = MANY / 3;
    for (bound, limit) in [(0, u64::MAX), (1, 700), (499, 300), (last - 1, 5)] {
        let found = read(store, Read::stream(name(), version(bound)).limit(limit)).await;
        assert!(numbers(&found) == expected(forward(last, bound, limit)), "after {bound}, at most {limit}");
    }
    for (bound, limit) in [(u64::MAX, u64::MAX), (last, 700), (500, 300), (2, 5)] {
        let found = read(store, Read::stream_backward(name(), version(bound)).limit(limit)).await;
        assert!(numbers(&found) == expected(backward(last, bound, limit)), "before {bound}, at most {limit}");
    }
}

pub async fn a_read_sees_the_log_as_it_was_when_it_began(store: &Store) {
    many(store, MANY).await;
    let begin = async |read| store.read(read).await.expect("the read begins");
    let mut forwards =
        [begin(Read::all(Position::ZERO)).await, begin(Read::stream(stream("many-1"), Version::ZERO)).await];
    let mut backwards = [
        begin(Read::all_backward(Position::MAX)).await,
        begin(Read::stream_backward(stream("many-1"), Version::MAX)).await,
    ];
    let first = forwards.first_mut().expect("two reads").next().await.expect("the read goes on");
    append(store, Append::new().events(stream("many-1"), Expected::Any, events(MANY + 1..=2 * MANY))).await;
    // A store whose index keeps up closely may have it know more than these reads are to see.
    for _ in 0..1000 {
        if store.statistics().await.expect("statistics").indexed > Position::new(MANY) {
            break;
        }
    }
    let all: Vec<u64> = (1..=MANY).collect();
    let in_stream: Vec<u64> = (1..=MANY).step_by(3).collect();
    for ((batches, expected), first) in forwards.iter_mut().zip([&all, &in_stream]).zip([first, Vec::new()]) {
        let found = [first, rest(&mut **batches).await].concat();
        assert!(numbers(&found) == *expected, "{} of {} events forwards", found.len(), expected.len());
    }
    for (batches, expected) in backwards.iter_mut().zip([&all, &in_stream]) {
        let mut found = numbers(&rest(&mut **batches).await);
        found.reverse();
        assert!(found == *expected, "{} of {} events backwards", found.len(), expected.len());
    }
}

pub async fn two_reads_do_not_disturb_each_other(store: &Store) {
    many(store, MANY).await;
    let mut one = store.read(Read::all(Position::ZERO)).await.expect("the read begins");
    let mut other = store.read(Read::all_backward(Position::MAX)).await.expect("the read begins");
    let (mut forwards, mut backwards) = (Vec::new(), Vec::new());
    loop {
        let (oldest, newest) = (one.next().await.expect("one goes on"), other.next().await.expect("other goes on"));
        if oldest.is_empty() && newest.is_empty() {
            break;
        }
        forwards.extend(oldest);
        backwards.extend(newest);
    }
    backwards.reverse();
    assert_eq!(forwards.len() as u64, MANY);
    assert!(forwards == backwards, "both directions find the same events");
}

pub async fn whoever_stops_waiting_and_asks_again_misses_nothing(store: &Store) {
    many(store, MANY).await;
    let name = || stream("many-1");
    for asked in [
        Read::all(Position::ZERO),
        Read::all(Position::ZERO).limit(20),
        Read::all_backward(Position::MAX),
        Read::stream(name(), Version::ZERO),
        Read::query(Query::stream(name()), Position::ZERO),
    ] {
        let expected = numbers(&read(store, asked.clone()).await);
        let mut batches = store.read(asked.clone()).await.expect("the read begins");
        let mut found = Vec::new();
        loop {
            // One look, and no more patience if the events are not there yet.
            let hasty = tokio::select! {
                biased;
                batch = batches.next() => Some(batch),
                () = std::future::ready(()) => None,
            };
            let batch = match hasty {
                Some(batch) => batch,
                None => batches.next().await,
            };
            let batch = batch.expect("the read goes on");
            if batch.is_empty() {
                break;
            }
            found.extend(numbers(&batch));
        }
        assert!(found == expected, "{} of {} events of {asked:?}", found.len(), expected.len());
    }
}

pub async fn the_records_of_the_store_are_part_of_the_log(store: &Store) {
    seven(store).await;
    append(store, Append::new().keyed(key("nothing"), fingerprint(1), "")).await;
    append(store, Append::new().events(stream("a-1"), Expected::Any, [event(9)])).await;
    let log = whole_log(store).await;
    assert_eq!(positions(&log), (1..=9).collect::<Vec<_>>());
    let system: Vec<bool> = log.iter().map(RecordedEvent::is_system).collect();
    assert_eq!(system, [false, false, false, false, false, false, false, true, false]);
}
