//! Order per key, also when a key fails.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use annalist::inbox::{HandleError, Inbox, InboxContext, MemoryConsumer, Received};
use tokio::sync::Notify;

use super::{
    app_with,
    bank::{GiroEvent, hasty, sent},
    inbox, settled,
};

type Log = Arc<Mutex<Vec<(String, String)>>>;

/// An inbox that notes whose messages it has handled, in order, if `check` lets it.
fn noting<F>(consumer: &MemoryConsumer, log: &Log, check: impl Fn(String, String) -> F + Send + Sync + 'static) -> Inbox
where
    F: Future<Output = Result<(), HandleError>> + Send + 'static,
{
    let log = Arc::clone(log);
    Inbox::named("notes").from(consumer.clone()).options(hasty()).on(
        move |received: Received<GiroEvent>, cx: InboxContext| {
            let GiroEvent::Sent { to, .. } = received.event;
            let (log, id) = (Arc::clone(&log), cx.message().id.clone());
            let checked = check(to.clone(), id.clone());
            async move {
                checked.await?;
                log.lock().unwrap().push((to, id));
                Ok(())
            }
        },
    )
}

fn of(log: &Log, account: &str) -> Vec<String> {
    log.lock().unwrap().iter().filter(|(to, _)| to == account).map(|(_, id)| id.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_failing_key_waits_in_order_while_others_go_on() {
    let (consumer, log, broken) = (MemoryConsumer::new(), Log::default(), Arc::new(AtomicBool::new(true)));
    let is_broken = Arc::clone(&broken);
    let app = app_with(noting(&consumer, &log, move |to, _| {
        let fails = to == "bob" && is_broken.load(Ordering::Relaxed);
        async move { if fails { Err(HandleError::wait("bob is away")) } else { Ok(()) } }
    }))
    .await;
    for id in 0..10 {
        sent(&consumer, &format!("{id}"), if id % 2 == 0 { "bob" } else { "eve" }, 1);
    }
    let status = inbox(&app).until(|status| status.handled == 5 && status.failing == 1).await;
    assert_eq!((of(&log, "eve"), of(&log, "bob").len()), (["1", "3", "5", "7", "9"].map(str::to_owned).to_vec(), 0));
    assert_eq!((status.held, status.last_error.is_some()), (5, true), "{status}");
    // Not counted as attempts of the message: it waits for as long as it takes.
    inbox(&app).until(|status| status.failures > 20).await;
    broken.store(false, Ordering::Relaxed);
    let status = settled(&app, 10).await;
    assert_eq!(of(&log, "bob"), ["0", "2", "4", "6", "8"]);
    assert_eq!((status.dead, status.failing, status.last_error), (0, 0, None));
}

#[tokio::test(start_paused = true)]
async fn messages_of_one_key_are_never_handled_at_the_same_time() {
    let (consumer, log, at_work) = (MemoryConsumer::new(), Log::default(), Arc::new(AtomicU32::new(0)));
    let busy = Arc::clone(&at_work);
    let app = app_with(noting(&consumer, &log, move |_, id| {
        let busy = Arc::clone(&busy);
        async move {
            assert_eq!(busy.fetch_add(1, Ordering::SeqCst), 0, "another one of the key is being handled");
            // The earlier, the slower.
            tokio::time::sleep(Duration::from_millis(100 - id.parse::<u64>().unwrap())).await;
            busy.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }
    }))
    .await;
    let ids: Vec<_> = (0..50).map(|id| id.to_string()).collect();
    for id in &ids {
        sent(&consumer, id, "eve", 1);
    }
    assert_eq!(settled(&app, 50).await.dead, 0);
    assert_eq!(of(&log, "eve"), ids);
}

#[tokio::test]
async fn keys_are_handled_at_the_same_time_and_the_inbox_chooses_them() {
    let (consumer, log, both) = (MemoryConsumer::new(), Log::default(), Arc::new(tokio::sync::Barrier::new(2)));
    let barrier = Arc::clone(&both);
    // Both go to the same account, so only another key lets them meet.
    let noting = noting(&consumer, &log, move |_, _| {
        let barrier = Arc::clone(&barrier);
        async move {
            barrier.wait().await;
            Ok(())
        }
    });
    let app = app_with(noting.key(|message| message.id.clone())).await;
    sent(&consumer, "1", "eve", 1);
    sent(&consumer, "2", "eve", 1);
    settled(&app, 2).await;
}

#[tokio::test]
async fn no_more_are_taken_than_may_be_held() {
    let (consumer, log, go) = (MemoryConsumer::new(), Log::default(), Arc::new(Notify::new()));
    let wait = Arc::clone(&go);
    let mut options = hasty();
    options.in_flight_max = 3;
    let noting = noting(&consumer, &log, move |_, _| {
        let wait = Arc::clone(&wait);
        async move {
            wait.notified().await;
            Ok(())
        }
    });
    let app = app_with(noting.options(options)).await;
    for id in 0..10 {
        sent(&consumer, &id.to_string(), "eve", 1);
    }
    for handled in 0..10_u64 {
        let status = inbox(&app).until(|status| status.held == 3.min(10 - handled) && status.handled == handled).await;
        assert!(status.held <= 3, "{status}");
        go.notify_one();
    }
    settled(&app, 10).await;
    assert_eq!(of(&log, "eve").len(), 10);
}
