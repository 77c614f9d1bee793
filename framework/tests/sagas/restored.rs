//! Sagas of a store that was restored from a backup.

use std::{path::Path, time::Duration};

use annalist::{
    App, Position, StartError, Store,
    saga::{Begin, InstanceState, SagaOptions},
};
use tokio::time::{sleep, timeout};

use crate::{
    restoring::{back_up_closed, restore},
    support::{cents, deposit, request, settled},
    transfer::Transfer,
};

/// How long anything may take: far longer than it does.
const PATIENCE: Duration = Duration::from_mins(2);

async fn try_start(dir: &Path) -> Result<App, StartError> {
    let options = SagaOptions::default().begin(Begin::History);
    App::open(Store::embedded(dir).unwrap()).saga_with::<Transfer>(options).start().await
}

/// Moves money, and waits until the saga has nothing left to do.
async fn transfer(app: &App, id: &str, amount: u64) {
    request(app, id, "alice", "bob", amount).await;
    completed(app, id).await;
}

async fn completed(app: &App, id: &str) {
    let saga = app.saga::<Transfer>().unwrap();
    let done = async {
        while saga.instance(id).await.unwrap().is_none_or(|instance| instance.state != InstanceState::Completed) {
            sleep(Duration::from_millis(5)).await;
        }
        saga.idle().await.unwrap();
    };
    timeout(PATIENCE, done).await.unwrap();
}

async fn seed(dir: &Path) {
    let app = try_start(dir).await.unwrap();
    deposit(&app, "alice", 1000).await;
    deposit(&app, "bob", 1).await;
    transfer(&app, "t1", 10).await;
    app.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saga_goes_on_after_a_restore_and_moves_what_was_requested_once() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, backups) = (folder.path().join("data"), folder.path().join("backups"));
    seed(&dir).await;
    // A request is in the backup, and nobody has begun with it.
    let app = App::open(Store::embedded(&dir).unwrap()).start().await.unwrap();
    request(&app, "t2", "alice", "bob", 20).await;
    app.shutdown().await.unwrap();
    back_up_closed(&dir, &backups).await;
    let app = try_start(&dir).await.unwrap();
    completed(&app, "t2").await;
    transfer(&app, "t3", 40).await;
    app.shutdown().await.unwrap();
    restore(&backups, &dir, None);

    // The rows of the saga have seen what was lost.
    let refused = try_start(&dir).await.unwrap_err();
    let said = refused.to_string();
    assert!(
        said.contains("`transfer`") && said.ends_with("delete the folder of the embedded views: they are replayed"),
        "{said}"
    );
    // What the operator does: views are replayed.
    std::fs::remove_dir_all(dir.join("views")).unwrap();
    for round in 0..2 {
        let app = try_start(&dir).await.unwrap();
        completed(&app, "t2").await;
        transfer(&app, &format!("t{}", 4 + round), 80).await;
        let moved = 10 + 20 + 80 * (round + 1);
        assert_eq!((cents(&app, "alice").await, cents(&app, "bob").await), (1000 - moved, 1 + moved));
        assert_eq!((settled(&app, "t2").await, settled(&app, "t3").await), (Some(true), None));
        app.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saga_whose_notes_are_ahead_of_its_log_refuses_to_start_and_does_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, backups) = (folder.path().join("data"), folder.path().join("backups"));
    seed(&dir).await;
    let end = back_up_closed(&dir, &backups).await;
    restore(&backups, &dir, Some(Position::new(3)));
    std::fs::remove_dir_all(dir.join("views")).unwrap();
    let head = || async {
        let store = annalist_store::Store::open(&dir).unwrap();
        let head = annalist::EventStore::head(&store).await.unwrap();
        store.close().await.unwrap();
        head
    };
    let before = head().await;
    let refused = try_start(&dir).await.unwrap_err();
    let StartError::Sagas(annalist::saga::StartError::Foreign { noted, .. }) = &refused else { panic!("{refused:?}") };
    assert!(noted.position > Position::new(3) && noted.position <= end, "{noted}");
    let said = refused.to_string();
    assert!(said.contains("restore it to the end of a backup"), "{said}");
    assert_eq!(head().await, before, "nothing was recorded");

    // What the operator does: what was replayed meanwhile, if anything was, is of a log that is no more.
    restore(&backups, &dir, None);
    std::fs::remove_dir_all(dir.join("views")).unwrap();
    let app = try_start(&dir).await.unwrap();
    transfer(&app, "t2", 20).await;
    assert_eq!((cents(&app, "alice").await, cents(&app, "bob").await), (970, 31));
    app.shutdown().await.unwrap();
}
