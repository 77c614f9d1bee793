//! Many clients at once.

use std::{collections::HashMap, sync::Arc};

use annalist_core::{Append, AppendError, Appended, Expected, Position, RecordedEvent};
use tokio::sync::Barrier;

use super::{
    Store,
    support::{
        append, at, event, events, fingerprint, key, numbers, payloads, positions, stream, version, versions,
        whole_log, whole_stream, yields,
    },
};

pub(super) type Answer = Result<Appended, AppendError>;

/// Sends all these appends at the same moment.
pub(super) async fn race(store: &Store, appends: Vec<Append>) -> Vec<Answer> {
    let start = Arc::new(Barrier::new(appends.len()));
    let tasks: Vec<_> = appends
        .into_iter()
        .map(|append| {
            let (store, start) = (store.clone(), Arc::clone(&start));
            tokio::spawn(async move {
                start.wait().await;
                store.append(append).await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.expect("the task ends"));
    }
    answers
}

/// Runs `count` tasks, each given its number, to their ends.
pub(super) async fn together<T, F>(count: u64, task: impl Fn(u64) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..count).map(|number| tokio::spawn(task(number))).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.expect("the task ends"));
    }
    results
}

pub async fn positions_are_dense_when_many_write(store: &Store) {
    const TASKS: u64 = 16;
    const APPENDS: u64 = 25;
    let answers = together(TASKS, |task| {
        let store = store.clone();
        async move {
            let mut answers = Vec::new();
            for number in 0..APPENDS {
                let own = Expected::Exact(version(number));
                let both = Append::new()
                    .events(stream(&format!("own-{task}")), own, [event(format!("{task}/{number}/own"))])
                    .events(stream("shared-1"), Expected::Any, [event(format!("{task}/{number}/shared"))]);
                answers.push((format!("{task}/{number}"), append(&store, both).await));
            }
            answers
        }
    })
    .await;
    let log = whole_log(store).await;
    assert_eq!(positions(&log), (1..=TASKS * APPENDS * 2).collect::<Vec<_>>());
    let by_position: HashMap<Position, &RecordedEvent> = log.iter().map(|event| (event.position, event)).collect();
    for (name, answer) in answers.iter().flatten() {
        assert_eq!(answer.cursor.position.get() - answer.after.get(), 2);
        let found = [answer.after.next(), answer.cursor.position].map(|position| by_position.get(&position));
        let found = found.map(|event| event.map(|event| String::from_utf8_lossy(event.payload()).into_owned()));
        assert_eq!(found, [Some(format!("{name}/own")), Some(format!("{name}/shared"))]);
    }
    assert_eq!(versions(&whole_stream(store, "shared-1").await), (1..=TASKS * APPENDS).collect::<Vec<_>>());
    for task in 0..TASKS {
        let own = whole_stream(store, &format!("own-{task}")).await;
        let expected: Vec<_> = (0..APPENDS).map(|number| format!("{task}/{number}/own")).collect();
        assert_eq!((payloads(&own), versions(&own)), (expected, (1..=APPENDS).collect()));
    }
}

pub async fn exactly_one_wins_each_version(store: &Store) {
    for round in 0..25 {
        let expected = Expected::Exact(version(round));
        let appends = (0..8).map(|task| Append::new().events(stream("raced-1"), expected, [event(task)])).collect();
        let answers = race(store, appends).await;
        let winners: Vec<u64> =
            (0..).zip(&answers).filter(|(_, answer)| answer.is_ok()).map(|(task, _)| task).collect();
        assert_eq!(winners.len(), 1, "round {round}: {answers:?}");
        let conflict = AppendError::Conflict { stream: stream("raced-1"), expected, actual: version(round + 1) };
        for loser in answers.into_iter().filter_map(Result::err) {
            assert_eq!(loser, conflict, "round {round}");
        }
        let recorded = numbers(&whole_stream(store, "raced-1").await);
        assert_eq!((recorded.len() as u64, recorded.last()), (round + 1, winners.first()));
    }
}

pub async fn a_key_is_recorded_once_when_many_use_it(store: &Store) {
    for round in 0..25 {
        let id = key(&round.to_string());
        let appends = (0..8).map(|task| {
            // With events and without, in turns.
            let events = if round % 2 == 0 { vec![event(task)] } else { Vec::new() };
            Append::new().events(stream("keyed-1"), Expected::Any, events).keyed(id.clone(), fingerprint(1), "same")
        });
        let answers = race(store, appends.collect()).await;
        let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("a repetition is no mistake")).collect();
        assert_eq!(answers.iter().filter(|answer| !answer.repeated).count(), 1, "round {round}: {answers:?}");
        for answer in &answers {
            assert_eq!((answer.after, answer.cursor.position), (at(round), at(round + 1)), "round {round}");
        }
    }
    assert_eq!(whole_log(store).await.len(), 25);
}

pub async fn of_different_requests_under_one_key_one_is_recorded(store: &Store) {
    for round in 0..25 {
        let id = key(&round.to_string());
        let appends = (0..8).map(|task| {
            Append::new().events(stream("keyed-1"), Expected::Any, [event(task)]).keyed(
                id.clone(),
                fingerprint(task % 2),
                "",
            )
        });
        let answers = race(store, appends.collect()).await;
        let recorded = store.outcome(&id).await.expect("keys can be looked up").expect("one request was recorded");
        let mut news = 0;
        for (task, answer) in (0..).zip(answers) {
            match answer {
                Ok(answer) => {
                    assert_eq!(fingerprint(task % 2), recorded.fingerprint, "round {round}, task {task}");
                    news += u64::from(!answer.repeated);
                }
                Err(refusal) => {
                    assert_ne!(fingerprint(task % 2), recorded.fingerprint, "round {round}, task {task}");
                    assert_eq!(refusal, AppendError::KeyReused { key: id.clone() });
                }
            }
        }
        assert_eq!(news, 1, "round {round}");
    }
    assert_eq!(whole_log(store).await.len(), 25);
}

pub async fn of_two_that_guard_each_others_stream_one_wins(store: &Store) {
    for round in 0..25 {
        let (left, right) = (stream(&format!("left-{round}")), stream(&format!("right-{round}")));
        let append = |to: &annalist_core::StreamId, guarded: &annalist_core::StreamId| {
            Append::new().guard(guarded.clone(), Expected::NoStream).events(
                to.clone(),
                Expected::NoStream,
                [event(round)],
            )
        };
        let answers = race(store, vec![append(&left, &right), append(&right, &left)]).await;
        let won = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(won, 1, "round {round}: {answers:?}");
        let (expected, actual) = (Expected::NoStream, version(1));
        for (guarded, refusal) in [right, left].into_iter().zip(answers).filter_map(|(g, a)| Some((g, a.err()?))) {
            assert_eq!(refusal, AppendError::Conflict { stream: guarded, expected, actual });
        }
    }
}

pub async fn appends_stand_together_when_many_write(store: &Store) {
    together(8, |task| {
        let store = store.clone();
        async move {
            for number in 0..20 {
                let name = 100 * task + number;
                let size = usize::try_from(name % 40 + 1).expect("a small number");
                let these = events(std::iter::repeat_n(name, size));
                append(&store, Append::new().events(stream("together-1"), Expected::Any, these)).await;
            }
        }
    })
    .await;
    let mut sizes = HashMap::new();
    let log = numbers(&whole_log(store).await);
    for run in log.chunk_by(|a, b| a == b) {
        let name = run.first().copied().unwrap_or_default();
        assert_eq!(sizes.insert(name, run.len() as u64), None, "the events of append {name} stand together");
    }
    assert_eq!(sizes.len(), 160);
    assert!(sizes.iter().all(|(name, size)| *size == name % 40 + 1), "each append is whole: {sizes:?}");
}

pub async fn readers_see_whole_appends_only(store: &Store) {
    const APPENDS: u64 = 100;
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..APPENDS {
                append(&store, Append::new().events(stream("whole-1"), Expected::Any, events([1, 2, 3]))).await;
            }
        })
    };
    let mut seen = 0;
    while seen < APPENDS * 3 {
        let log = whole_log(store).await;
        let length = log.len() as u64;
        assert_eq!(positions(&log), (1..=length).collect::<Vec<_>>());
        assert_eq!(length % 3, 0, "an append is seen whole or not at all");
        assert!(length >= seen, "what was seen stays");
        seen = length;
    }
    writer.await.expect("the writer ends");
}

pub async fn an_abandoned_append_is_recorded_once_when_repeated(store: &Store) {
    const APPENDS: u64 = 150;
    for number in 0..APPENDS {
        let request = || {
            let id = key(&number.to_string());
            Append::new().events(stream("once-1"), Expected::Any, [event(number)]).keyed(id, fingerprint(1), "")
        };
        let patience = usize::try_from(number % 15).expect("a small number");
        tokio::select! {
            biased;
            _ = store.append(request()) => {}
            () = yields(patience) => {}
        }
        append(store, request()).await;
    }
    assert_eq!(numbers(&whole_log(store).await), (0..APPENDS).collect::<Vec<_>>());
}
