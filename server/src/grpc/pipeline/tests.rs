//! What is taken, what is answered, and when it ends.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use futures_util::{StreamExt as _, stream};
use tokio::sync::{mpsc, oneshot};
use tonic::Code;

use super::*;

type Answering = Pin<Box<dyn Future<Output = ((u64, &'static str), usize)> + Send>>;

/// Something that answers when the test says so.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<Vec<oneshot::Sender<&'static str>>>>);

impl Store {
    /// Takes questions that are their number and their size.
    fn take(&self) -> impl Fn((u64, usize)) -> Taken<Answering> + Send + use<> {
        let store = self.clone();
        move |(number, bytes)| {
            let (answer, answered) = oneshot::channel();
            store.0.lock().expect("no panic").push(answer);
            let answer = async move { ((number, answered.await.expect("the test answers")), bytes) };
            Taken { number, bytes, answer: Box::pin(answer) }
        }
    }

    fn answer(&self, at: usize, answer: &'static str) {
        self.0.lock().expect("no panic").remove(at).send(answer).expect("somebody waits");
    }

    fn taken(&self) -> usize {
        self.0.lock().expect("no panic").len()
    }
}

const CLOSING: fn(u64) -> (u64, &'static str) = |number| (number, "closing");

/// The next answer; `None` if there is none yet.
async fn now(answers: &mut Answers<(u64, &'static str)>) -> Option<Option<Result<(u64, &'static str), Status>>> {
    tokio::select! {
        biased;
        answer = answers.next() => Some(answer),
        () = tokio::task::yield_now() => None,
    }
}

async fn number(answers: &mut Answers<(u64, &'static str)>) -> u64 {
    now(answers).await.expect("an answer is there").expect("it goes on").expect("an answer").0
}

#[tokio::test]
async fn each_is_answered_when_it_is_done() {
    let (store, (_stop, stopping)) = (Store::default(), Stopping::new());
    let questions = stream::iter((1..=3).map(|number| Ok((number, 1))));
    let mut answers = answering(questions, Order::AsTheyCome, store.take(), CLOSING, || false, stopping);
    assert!(now(&mut answers).await.is_none(), "all wait");
    assert_eq!(store.taken(), 3, "none waits for another");
    store.answer(2, "recorded");
    store.answer(0, "refused");
    let mut found = [number(&mut answers).await, number(&mut answers).await];
    found.sort_unstable();
    assert_eq!(found, [1, 3]);
    store.answer(0, "recorded");
    let last = answers.next().await.expect("the second").expect("an answer");
    assert_eq!(last, (2, "recorded"));
    assert!(answers.next().await.is_none(), "the caller ended its side, and everything is answered");
}

#[tokio::test]
async fn what_comes_together_is_taken_before_any_of_it_is_begun() {
    for (order, taken_by_then) in [(Order::AsTheyCome, [1, 2, 3]), (Order::Together, [3, 3, 3])] {
        let (all, (_stop, stopping)) = (Arc::new(AtomicU64::new(0)), Stopping::new());
        let take = move |number| {
            let all = Arc::clone(&all);
            all.fetch_add(1, Ordering::Relaxed);
            Taken { number, bytes: 1, answer: async move { ((number, all.load(Ordering::Relaxed)), 1) } }
        };
        let closing = |number| (number, 0);
        let answers = answering(stream::iter((1..=3).map(Ok)), order, take, closing, || false, stopping);
        let answers: Vec<_> = answers.map(|answer| answer.expect("no failure").1).collect().await;
        assert_eq!(answers, taken_by_then);
    }
}

#[tokio::test]
async fn a_server_that_ends_says_what_it_took_and_answers_it() {
    let (store, (stop, stopping)) = (Store::default(), Stopping::new());
    let (send, mut questions) = mpsc::channel(8);
    let questions = stream::poll_fn(move |context| questions.poll_recv(context));
    let mut answers = answering(questions, Order::AsTheyCome, store.take(), CLOSING, || false, stopping);
    send.send(Ok((4, 1))).await.expect("there is room");
    assert!(now(&mut answers).await.is_none());
    stop.send_replace(true);
    let closing = answers.next().await.expect("a word").expect("no failure");
    assert_eq!(closing, (4, "closing"));
    _ = send.send(Ok((5, 1))).await;
    assert!(now(&mut answers).await.is_none());
    assert_eq!(store.taken(), 1, "what came later is not taken");
    store.answer(0, "recorded");
    assert_eq!(number(&mut answers).await, 4);
    assert!(answers.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn it_does_not_grow_old() {
    let (store, (_stop, stopping)) = (Store::default(), Stopping::new());
    let mut answers = answering(
        stream::pending::<Result<(u64, usize), Status>>(),
        Order::AsTheyCome,
        store.take(),
        CLOSING,
        || false,
        stopping,
    );
    let closing = answers.next().await.expect("a word").expect("no failure");
    assert_eq!(closing, (0, "closing"));
    assert!(answers.next().await.is_none());
}

#[tokio::test]
async fn what_is_taken_has_a_bound() {
    let many = (1..).map(|number| Ok((number, 1)));
    let large = (1..).map(|number| Ok((number, PIPELINE_BYTES_MAX / 4)));
    let (store, (_stop, stopping)) = (Store::default(), Stopping::new());
    let mut answers =
        answering(stream::iter(many), Order::AsTheyCome, store.take(), CLOSING, || false, stopping.clone());
    while store.taken() < PIPELINE_QUESTIONS_MAX {
        assert!(now(&mut answers).await.is_none());
    }
    assert!(now(&mut answers).await.is_none());
    assert_eq!(store.taken(), PIPELINE_QUESTIONS_MAX);
    store.answer(0, "recorded");
    assert_eq!(number(&mut answers).await, 1);
    assert!(now(&mut answers).await.is_none());
    assert_eq!(store.taken(), PIPELINE_QUESTIONS_MAX, "there was room for one more");

    let store = Store::default();
    let mut answers = answering(stream::iter(large), Order::AsTheyCome, store.take(), CLOSING, || false, stopping);
    assert!(now(&mut answers).await.is_none());
    assert_eq!(store.taken(), 4);
}

#[tokio::test]
async fn what_it_cannot_take_ends_it_when_the_rest_is_answered() {
    let (store, (_stop, stopping)) = (Store::default(), Stopping::new());
    let questions = stream::iter([Ok((2, 1)), Ok((2, 1))]);
    let mut answers = answering(questions, Order::AsTheyCome, store.take(), CLOSING, || false, stopping);
    let closing = answers.next().await.expect("a word").expect("no failure yet");
    assert_eq!(closing, (2, "closing"), "numbers go up");
    store.answer(0, "recorded");
    assert_eq!(answers.next().await.expect("an answer").expect("no failure yet"), (2, "recorded"));
    let failed = answers.next().await.expect("a word").expect_err("two have the same number");
    assert_eq!(failed.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn while_memory_is_scarce_one_is_taken_at_a_time() {
    let (store, (_stop, stopping)) = (Store::default(), Stopping::new());
    let questions = stream::iter((1..=2).map(|number| Ok((number, 1))));
    let mut answers = answering(questions, Order::AsTheyCome, store.take(), CLOSING, || true, stopping);
    for expected in 1..=2 {
        assert!(now(&mut answers).await.is_none());
        assert_eq!(store.taken(), 1);
        store.answer(0, "recorded");
        assert_eq!(number(&mut answers).await, expected);
    }
    assert!(answers.next().await.is_none());
}
