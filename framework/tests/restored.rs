//! A service whose store was restored from a backup: what goes on, what stops, and what is said.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod counter;
#[path = "../../tests/shared/restoring.rs"]
mod restoring;

use std::{path::Path, time::Duration};

use annalist::{
    App, Store,
    outbox::{MemoryPublisher, RelayState, Stopped},
    projection::ProjectionState,
};
use counter::{COUNTS, Count, Counter, Counts, outbox};
use restoring::{back_up_closed, restore};

async fn start(dir: &Path, publisher: &MemoryPublisher) -> App {
    App::open(Store::embedded(dir).unwrap()).projection(Counts).outbox(outbox(publisher)).start().await.unwrap()
}

async fn count(app: &App, times: u64) -> annalist::Cursor {
    let mut last = None;
    for _ in 0..times {
        let receipt = app.on::<Counter>("a".to_owned()).execute(Count(1)).await.unwrap();
        let relay = app.relays().first().unwrap();
        app.view::<Counts>().unwrap().after(receipt.cursor).ready().await.unwrap();
        tokio::time::timeout(Duration::from_secs(30), relay.published(receipt.cursor)).await.unwrap().unwrap();
        last = Some(receipt.cursor);
    }
    last.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_seen_no_more_than_was_restored_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, backups) = (folder.path().join("data"), folder.path().join("backups"));
    let publisher = MemoryPublisher::new();
    let app = start(&dir, &publisher).await;
    let before = count(&app, 5).await;
    app.shutdown().await.unwrap();
    back_up_closed(&dir, &backups).await;
    restore(&backups, &dir, None);
    for total in [8, 11] {
        let app = start(&dir, &publisher).await;
        let after = count(&app, 3).await;
        assert!(after.epoch > before.epoch && after.store == before.store);
        let view = app.view::<Counts>().unwrap().after(after);
        assert_eq!(view.get(&COUNTS, &"a".to_owned()).await, Ok(Some(total)), "no event is counted twice");
        assert_eq!(publisher.messages().len() as u64, total, "nor published twice");
        app.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_seen_what_is_lost_says_so_and_a_view_is_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, backups) = (folder.path().join("data"), folder.path().join("backups"));
    let publisher = MemoryPublisher::new();
    let app = start(&dir, &publisher).await;
    count(&app, 5).await;
    app.shutdown().await.unwrap();
    back_up_closed(&dir, &backups).await;
    let app = start(&dir, &publisher).await;
    let lost = count(&app, 2).await;
    app.shutdown().await.unwrap();
    restore(&backups, &dir, None);

    let app = start(&dir, &publisher).await;
    // More events than were lost, so that positions alone would not tell.
    for _ in 0..4 {
        app.on::<Counter>("a".to_owned()).execute(Count(1)).await.unwrap();
    }
    let mut state = ProjectionState::Stopped;
    for _ in 0..3_000 {
        state = app.projections().of::<Counts>().unwrap().status().await.unwrap().state;
        if matches!(state, ProjectionState::Foreign { .. }) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let ProjectionState::Foreign { error } = state else { panic!("the view is {state}") };
    assert!(error.contains(&lost.to_string()) && error.contains("rebuild the view"), "{error}");
    let relay = app.relays().first().unwrap();
    let stopped = loop {
        if let RelayState::Stopped(why) = relay.status().state {
            break why;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(matches!(&stopped, Stopped::Foreign { last, .. } if last.cursor == lost), "{stopped}");
    assert_eq!(publisher.messages().len(), 7, "nothing is published behind what this log does not have");

    app.projections().rebuild::<Counts>().await.unwrap();
    let view = app.view::<Counts>().unwrap();
    assert_eq!(view.get(&COUNTS, &"a".to_owned()).await, Ok(Some(9)));
    app.shutdown().await.unwrap();
}
