//! Keys: what is recorded once, and what is answered when it comes again.

use std::collections::HashSet;

use annalist_core::{
    Append, AppendError, Appended, Expected, Key, OUTCOME_BYTES_MAX, Outcome, Read, StreamId, Version,
};

use super::{
    Store,
    support::{
        append, at, event, events, fingerprint, head, key, numbers, read, refusal, stream, version, whole_log,
        whole_stream,
    },
};

async fn outcome(store: &Store, key: &Key) -> Option<Outcome> {
    store.outcome(key).await.expect("keys can be looked up")
}

fn repeated(appended: &Appended) -> Appended {
    Appended { repeated: true, ..appended.clone() }
}

pub async fn an_outcome_is_remembered(store: &Store) {
    let keyed = Append::new().events(stream("a-1"), Expected::NoStream, events(1..=2));
    let appended = append(store, keyed.keyed(key("k"), fingerprint(7), "the reply")).await;
    assert!(!appended.repeated);
    assert_eq!((appended.after, appended.cursor.position), (at(0), at(2)));
    let expected = Outcome { fingerprint: fingerprint(7), reply: "the reply".into(), appended: repeated(&appended) };
    assert_eq!(outcome(store, &key("k")).await, Some(expected));
    assert_eq!(outcome(store, &key("another")).await, None);
}

pub async fn a_repetition_is_answered_as_the_first_time(store: &Store) {
    let first = Append::new().events(stream("a-1"), Expected::NoStream, events(1..=2));
    let first = append(store, first.keyed(key("k"), fingerprint(1), "first reply")).await;
    append(store, Append::new().events(stream("a-1"), Expected::Any, [event(3)])).await;
    // The fingerprint is what counts: decided again, the same request may carry other events, and other replies.
    let again = Append::new().events(stream("b-1"), Expected::Any, events(4..=9));
    for _ in 0..2 {
        let answer = append(store, again.clone().keyed(key("k"), fingerprint(1), "second reply")).await;
        assert_eq!(answer, repeated(&first));
    }
    assert_eq!(numbers(&whole_log(store).await), [1, 2, 3], "nothing was recorded again");
    let outcome = outcome(store, &key("k")).await.expect("the key is remembered");
    assert_eq!(outcome.reply, "first reply");
}

pub async fn another_request_under_the_same_key_is_refused(store: &Store) {
    let request = || Append::new().events(stream("a-1"), Expected::Any, [event(1)]);
    append(store, request().keyed(key("k"), fingerprint(1), "")).await;
    let reused = AppendError::KeyReused { key: key("k") };
    assert_eq!(refusal(store, request().keyed(key("k"), fingerprint(2), "")).await, reused);
    assert_eq!(numbers(&whole_log(store).await), [1]);
    let outcome = outcome(store, &key("k")).await.expect("the key is remembered");
    assert_eq!(outcome.fingerprint, fingerprint(1));
}

pub async fn the_key_is_looked_at_before_the_streams(store: &Store) {
    let request = || Append::new().events(stream("a-1"), Expected::NoStream, [event(1)]);
    let first = append(store, request().keyed(key("k"), fingerprint(1), "")).await;
    let conflicting = request().guard(stream("b-1"), Expected::StreamExists);
    let answer = append(store, conflicting.clone().keyed(key("k"), fingerprint(1), "")).await;
    assert_eq!(answer, repeated(&first));
    let reused = AppendError::KeyReused { key: key("k") };
    assert_eq!(refusal(store, conflicting.keyed(key("k"), fingerprint(2), "")).await, reused);
}

pub async fn a_refused_append_leaves_its_key_free(store: &Store) {
    let request =
        || Append::new().events(stream("a-1"), Expected::StreamExists, [event(2)]).keyed(key("k"), fingerprint(1), "");
    let expected = Expected::StreamExists;
    let conflict = AppendError::Conflict { stream: stream("a-1"), expected, actual: Version::ZERO };
    assert_eq!(refusal(store, request()).await, conflict);
    append(store, Append::new().events(stream("a-1"), Expected::NoStream, [event(1)])).await;
    let answer = append(store, request()).await;
    assert_eq!((answer.after, answer.cursor.position, answer.repeated), (at(1), at(2), false));
}

/// Keys that are different though they look alike when their parts are put together.
fn look_alikes() -> Vec<Key> {
    [("a", "b/c"), ("a/b", "c"), ("a", "bc"), ("ab", "c"), ("A", "bc"), ("a", "b c"), ("a b", "c")]
        .map(|(scope, id)| Key::new(scope, id).expect("a valid key"))
        .to_vec()
}

pub async fn keys_of_different_scopes_are_different(store: &Store) {
    for (number, key) in (0_u8..).zip(look_alikes()) {
        let request = Append::new().events(stream("a-1"), Expected::Any, [event(number)]);
        let answer = append(store, request.keyed(key, fingerprint(number), vec![number])).await;
        assert!(!answer.repeated, "request {number} is recorded");
    }
    for (number, key) in (0_u8..).zip(look_alikes()) {
        let outcome = outcome(store, &key).await.expect("the key is remembered");
        assert_eq!((outcome.reply, outcome.fingerprint), (vec![number].into(), fingerprint(number)));
        assert_eq!(outcome.appended.after, at(u64::from(number)));
    }
}

pub async fn a_keyed_append_without_events_is_recorded_by_the_store(store: &Store) {
    append(store, Append::new().events(stream("a-1"), Expected::Any, [event(1)])).await;
    for (ordinal, id) in (1..).zip(["nothing", "nothing else"]) {
        let answer = append(store, Append::new().keyed(key(id), fingerprint(1), "done")).await;
        assert_eq!((answer.after, answer.cursor.position), (at(ordinal), at(ordinal + 1)));
        assert_eq!((&answer.streams, answer.repeated), (&vec![(StreamId::system(), version(ordinal))], false));
        let again = append(store, Append::new().keyed(key(id), fingerprint(1), "done")).await;
        assert_eq!(again, repeated(&answer));
        let outcome = outcome(store, &key(id)).await.expect("the key is remembered");
        assert_eq!((outcome.reply, outcome.appended), ("done".into(), again));
    }
    let records = read(store, Read::stream(StreamId::system(), Version::ZERO)).await;
    assert_eq!(records.len(), 2);
    for record in &records {
        assert!(record.is_system());
        assert_eq!((record.type_name(), record.type_version(), record.payload()), ("$commit", 1, &b""[..]));
    }
    assert_eq!(whole_log(store).await.get(1..), Some(records.as_slice()));
}

pub async fn the_records_of_the_store_have_identities_of_their_own(store: &Store) {
    for key in look_alikes() {
        append(store, Append::new().keyed(key, fingerprint(1), "")).await;
    }
    let log = whole_log(store).await;
    let ids: HashSet<_> = log.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), look_alikes().len(), "different keys, different event ids: {log:?}");
}

pub async fn guards_with_a_key_are_checked_and_recorded(store: &Store) {
    let guarded = || Append::new().guard(stream("a-1"), Expected::StreamExists).keyed(key("k"), fingerprint(1), "r");
    let expected = Expected::StreamExists;
    let conflict = AppendError::Conflict { stream: stream("a-1"), expected, actual: Version::ZERO };
    assert_eq!(refusal(store, guarded()).await, conflict);
    assert_eq!(outcome(store, &key("k")).await, None);
    append(store, Append::new().events(stream("a-1"), Expected::NoStream, [event(1)])).await;
    let answer = append(store, guarded()).await;
    assert_eq!((answer.after, answer.cursor), (at(1), head(store).await));
    assert_eq!(answer.streams, [(StreamId::system(), version(1))]);
    assert_eq!(append(store, guarded()).await, repeated(&answer));
}

pub async fn an_outcome_lists_all_streams_that_were_written(store: &Store) {
    append(store, Append::new().events(stream("b-1"), Expected::Any, events(0..=4))).await;
    let request = Append::new()
        .events(stream("c-1"), Expected::Any, events(5..=6))
        .guard(stream("b-1"), Expected::StreamExists)
        .events(stream("a-1"), Expected::Any, events(7..=700))
        .events(stream("c-1"), Expected::Any, [event(701)])
        .events(stream("b-1"), Expected::Any, [event(702)]);
    let answer = append(store, request.keyed(key("k"), fingerprint(1), "")).await;
    let last = [("c-1", 3), ("a-1", 694), ("b-1", 6)].map(|(name, last)| (stream(name), version(last)));
    assert_eq!(answer.streams, last);
    let outcome = outcome(store, &key("k")).await.expect("the key is remembered");
    assert_eq!(outcome.appended, repeated(&answer));
}

pub async fn a_large_reply_comes_back_whole(store: &Store) {
    let reply: Vec<u8> = (0..=250).cycle().take(OUTCOME_BYTES_MAX).collect();
    let request = Append::new().events(stream("a-1"), Expected::Any, [event(1)]);
    append(store, request.keyed(key("with events"), fingerprint(1), reply.clone())).await;
    append(store, Append::new().keyed(key("without events"), fingerprint(1), reply.clone())).await;
    for id in ["with events", "without events"] {
        let outcome = outcome(store, &key(id)).await.expect("the key is remembered");
        assert!(outcome.reply == reply, "the reply of {id} is as it was given");
    }
}

pub async fn keys_are_remembered_through_many_appends(store: &Store) {
    let id = |number: u64| key(&format!("command {number}"));
    let request = |number: u64| {
        let to = stream(&format!("a-{}", number % 9));
        Append::new().events(to, Expected::Any, events([number, number])).keyed(
            id(number),
            fingerprint(1),
            number.to_string(),
        )
    };
    let mut answers = Vec::new();
    for number in 0..200 {
        answers.push(append(store, request(number)).await);
    }
    for (number, answer) in (0..).zip(&answers) {
        assert_eq!(append(store, request(number)).await, repeated(answer));
        let outcome = outcome(store, &id(number)).await.expect("the key is remembered");
        assert_eq!((outcome.reply, outcome.appended), (number.to_string().into(), repeated(answer)));
    }
    assert_eq!(whole_log(store).await.len(), 400);
    assert_eq!(numbers(&whole_stream(store, "a-8").await).last(), Some(&197));
}
