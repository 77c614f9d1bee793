//! What becomes of appends when their call ends.

use annalist_core::AppendError;

use super::*;

/// Three appends that were sent: what they come to once the call has ended in some way.
fn sent(end: impl FnOnce(&mut Waiting<()>)) -> (Waiting<()>, Vec<Option<Failure>>) {
    let mut waiting = Waiting { sent: 0, answers: HashMap::new(), over: None, missing: None };
    let answered: Vec<_> = (1..=3)
        .map(|number| {
            let (answer, answered) = oneshot::channel();
            waiting.answers.insert(number, answer);
            waiting.sent = number;
            answered
        })
        .collect();
    end(&mut waiting);
    let failure = |mut answered: oneshot::Receiver<Result<(), Status>>| {
        answered.try_recv().ok().map(|answer| Failure::of_reading(answer.expect_err("nothing was recorded")))
    };
    (waiting, answered.into_iter().map(failure).collect())
}

#[test]
fn what_a_closing_server_did_not_take_is_asked_again() {
    let (waiting, ends) = sent(|waiting| waiting.close(1));
    assert!(matches!(&ends[..], [None, Some(Failure::NotTaken(_)), Some(Failure::NotTaken(_))]), "{ends:?}");
    assert!(matches!(Failure::of_reading(waiting.status()), Failure::NotTaken(_)), "and so is what was not sent");
}

#[test]
fn what_was_sent_on_a_call_that_broke_is_lost_and_what_was_not_is_not() {
    let broke = Status::unknown("the connection broke");
    let (waiting, ends) = sent(|waiting| waiting.end(&broke, &closed()));
    assert!(ends.iter().all(|end| matches!(end, Some(Failure::Lost(_)))), "{ends:?}");
    assert!(matches!(Failure::of_reading(waiting.status()), Failure::NotTaken(_)));
}

#[test]
fn a_call_that_is_refused_refuses_all() {
    let refused = Status::permission_denied("the key is good for read");
    let (waiting, ends) = sent(|waiting| waiting.end(&refused, &refused));
    let is_refused = |end: &Failure| matches!(end, Failure::Refused(AppendError::Unavailable { .. }));
    assert!(ends.iter().flatten().all(is_refused), "{ends:?}");
    assert_eq!(ends.iter().flatten().count(), 3);
    assert!(is_refused(&Failure::of_reading(waiting.status())));
}

#[test]
fn who_gives_up_is_forgotten() {
    let (waiting, _) = sent(|_| {});
    let waiting = Mutex::new(waiting);
    drop(Forget { waiting: &waiting, number: 2 });
    let mut left: Vec<_> = waiting.lock().answers.keys().copied().collect();
    left.sort_unstable();
    assert_eq!(left, [1, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_server_without_such_calls_is_asked_for_them_again_in_a_while() {
    let pipeline = Pipeline::<Appends>::new();
    let waiting = Waiting { sent: 0, answers: HashMap::new(), over: None, missing: None };
    let call = Call { questions: mpsc::channel(1).0, waiting: Arc::new(Mutex::new(waiting)) };
    pipeline.0.lock().open = Some(call.clone());
    assert!(pipeline.is_known(), "until it says otherwise");
    call.waiting.lock().miss(Instant::now());
    assert!(!pipeline.is_known());
    assert!(matches!(Failure::of_reading(call.waiting.lock().status()), Failure::NotTaken(_)), "nothing was recorded");
    tokio::time::advance(PIPELINE_ASK_AGAIN).await;
    assert!(pipeline.is_known(), "it may have been upgraded");
}
