//! What a store that is closed and opened again must still know: with its index, and without.

use annalist_core::{
    Append, AppendError, Appended, Cursor, Expected, Key, Position, Read, RecordedEvent, StoreError, Version,
};

use super::{
    Reopening, Reopens, Store,
    support::{
        append, event, events, fingerprint, follow, head, key, numbers, positions, read, refusal, stream,
        until_caught_up, version, versions, whole_log,
    },
};

const BOTH: [Reopening; 2] = [Reopening::AsItIs, Reopening::WithoutIndex];
const STREAMS: u64 = 7;
const ROUNDS: u64 = 60;

fn id(round: u64) -> Key {
    key(&format!("round {round}"))
}

/// Appends of every kind; returns the answers to the keyed ones.
async fn fill(store: &Store) -> Vec<(Key, Appended)> {
    let mut keyed = Vec::new();
    for round in 0..ROUNDS {
        let to = |offset: u64| stream(&format!("kept-{}", (round + offset) % STREAMS));
        let several = Append::new()
            .events(to(0), Expected::Any, events([10 * round, 10 * round + 1]))
            .events(to(1), Expected::Any, [event(10 * round + 2)])
            .events(to(0), Expected::StreamExists, [event(10 * round + 3)]);
        match round % 4 {
            0 => drop(append(store, several).await),
            1 => {
                let answer = append(store, Append::new().keyed(id(round), fingerprint(1), "nothing")).await;
                keyed.push((id(round), answer));
            }
            _ => {
                let answer = append(store, several.keyed(id(round), fingerprint(1), round.to_string())).await;
                keyed.push((id(round), answer));
            }
        }
    }
    keyed
}

async fn streams(store: &Store) -> Vec<Vec<RecordedEvent>> {
    let mut found = Vec::new();
    for number in 0..STREAMS {
        let name = stream(&format!("kept-{number}"));
        let forwards = read(store, Read::stream(name.clone(), Version::ZERO)).await;
        let mut backwards = read(store, Read::stream_backward(name, Version::MAX)).await;
        backwards.reverse();
        assert_eq!(forwards, backwards, "both directions find the same");
        found.push(forwards);
    }
    found
}

pub async fn an_empty_store_is_empty_again(subject: &mut dyn Reopens) {
    let before = head(&subject.store()).await;
    for how in BOTH {
        subject.reopen(how).await;
        let store = subject.store();
        assert_eq!(head(&store).await, before, "{how:?}");
        assert_eq!(whole_log(&store).await, []);
    }
}

pub async fn the_log_is_the_same(subject: &mut dyn Reopens) {
    let store = subject.store();
    fill(&store).await;
    let before = (head(&store).await, whole_log(&store).await, streams(&store).await);
    for how in BOTH {
        subject.reopen(how).await;
        let store = subject.store();
        assert_eq!(head(&store).await, before.0, "{how:?}");
        assert!(whole_log(&store).await == before.1, "the log is the same, {how:?}");
        assert!(streams(&store).await == before.2, "the streams are the same, {how:?}");
        let mut backwards = read(&store, Read::all_backward(Position::MAX)).await;
        backwards.reverse();
        assert!(backwards == before.1, "also backwards, {how:?}");
    }
}

pub async fn keys_are_remembered(subject: &mut dyn Reopens) {
    let keyed = fill(&subject.store()).await;
    assert!(!keyed.is_empty());
    for how in BOTH {
        subject.reopen(how).await;
        let store = subject.store();
        let before = head(&store).await;
        for (key, answer) in &keyed {
            let expected = Appended { repeated: true, ..answer.clone() };
            let outcome = store.outcome(key).await.expect("keys can be looked up").expect("the key is remembered");
            assert_eq!((&outcome.appended, outcome.fingerprint), (&expected, fingerprint(1)), "{how:?}");
            let again = Append::new().keyed(key.clone(), fingerprint(1), "");
            assert_eq!(append(&store, again).await, expected, "{how:?}");
            let other = Append::new().keyed(key.clone(), fingerprint(2), "");
            assert_eq!(refusal(&store, other).await, AppendError::KeyReused { key: key.clone() }, "{how:?}");
        }
        let reply = store.outcome(&id(2)).await.expect("keys can be looked up").map(|outcome| outcome.reply);
        assert_eq!(reply, Some("2".into()), "{how:?}");
        assert_eq!(store.outcome(&key("never used")).await, Ok(None), "{how:?}");
        assert_eq!(head(&store).await, before, "nothing was recorded again, {how:?}");
    }
}

pub async fn expectations_are_checked_against_what_was_recorded(subject: &mut dyn Reopens) {
    let store = subject.store();
    append(&store, Append::new().events(stream("a-1"), Expected::NoStream, events(1..=3))).await;
    append(&store, Append::new().events(stream("b-1"), Expected::NoStream, [event(4)])).await;
    for (how, last) in BOTH.into_iter().zip([3, 4]) {
        subject.reopen(how).await;
        let store = subject.store();
        let one = |expected| Append::new().events(stream("a-1"), expected, [event(9)]);
        for expected in [Expected::NoStream, Expected::Exact(version(last - 1)), Expected::Exact(version(last + 1))] {
            let conflict = AppendError::Conflict { stream: stream("a-1"), expected, actual: version(last) };
            assert_eq!(refusal(&store, one(expected)).await, conflict, "{how:?}");
        }
        append(&store, one(Expected::Exact(version(last))).guard(stream("b-1"), Expected::Exact(version(1)))).await;
    }
}

pub async fn positions_versions_and_time_go_on(subject: &mut dyn Reopens) {
    for (round, how) in (0..).zip([BOTH, BOTH].concat()) {
        let store = subject.store();
        let appended = append(&store, Append::new().events(stream("a-1"), Expected::Any, [event(round)])).await;
        assert_eq!(appended.after.get(), 2 * round);
        append(&store, Append::new().keyed(id(round), fingerprint(1), "")).await;
        subject.reopen(how).await;
    }
    let log = whole_log(&subject.store()).await;
    assert_eq!(positions(&log), (1..=8).collect::<Vec<_>>());
    assert_eq!(versions(&log), [1, 1, 2, 2, 3, 3, 4, 4], "of the stream and of the store's own, by turns");
    assert!(log.is_sorted_by_key(|event| event.time));
}

pub async fn cursors_stay_good(subject: &mut dyn Reopens) {
    let store = subject.store();
    append(&store, Append::new().events(stream("a-1"), Expected::Any, events(1..=20))).await;
    let middle = head(&store).await.at(Position::new(12));
    for (how, more) in BOTH.into_iter().zip([21, 22]) {
        subject.reopen(how).await;
        let store = subject.store();
        let last = append(&store, Append::new().events(stream("a-1"), Expected::Any, [event(more)])).await.cursor;
        let (found, edge) = until_caught_up(&mut *follow(&store, middle).await).await;
        assert_eq!((numbers(&found), edge), ((13..=more).collect(), last), "{how:?}");
    }
}

pub async fn checkpoints_are_kept(subject: &mut dyn Reopens) {
    for (how, value) in BOTH.into_iter().zip(["first", "second"]) {
        subject.checkpoints().save("outbox", value.into()).await.expect("the checkpoint is saved");
        subject.reopen(how).await;
        let kept = subject.checkpoints().load("outbox").await;
        assert_eq!(kept, Ok(Some(value.into())), "{how:?}");
    }
}

pub async fn handles_from_before_stay_closed(subject: &mut dyn Reopens) {
    let before = subject.store();
    append(&before, Append::new().events(stream("a-1"), Expected::Any, [event(1)])).await;
    subject.reopen(Reopening::AsItIs).await;
    assert_eq!(before.head().await, Err(StoreError::Closed));
    assert_eq!(head(&subject.store()).await.position, Position::new(1));
}

pub async fn what_is_written_between_many_reopenings_is_all_there(subject: &mut dyn Reopens) {
    for round in 0..12 {
        let store = subject.store();
        for number in 0..round {
            let to = stream(&format!("kept-{}", number % STREAMS));
            append(&store, Append::new().events(to, Expected::Any, [event(round)])).await;
        }
        subject.reopen(if round % 3 == 0 { Reopening::WithoutIndex } else { Reopening::AsItIs }).await;
    }
    let expected: Vec<u64> =
        (0..12).flat_map(|round| std::iter::repeat_n(round, usize::try_from(round).unwrap_or_default())).collect();
    let store = subject.store();
    assert_eq!(numbers(&whole_log(&store).await), expected);
    assert_eq!(streams(&store).await.concat().len(), expected.len());
    let (followed, _) = until_caught_up(&mut *follow(&store, Cursor::START).await).await;
    assert_eq!(numbers(&followed), expected);
}
