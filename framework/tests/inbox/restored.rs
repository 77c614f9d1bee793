//! A store that was restored from a backup, and a broker that was not.
#![cfg(feature = "embedded")]

use std::path::Path;

use annalist::{App, Store, inbox::MemoryConsumer};

use super::{
    bank::{balance, savings_inbox, sent},
    inbox,
    restoring::{back_up_closed, restore},
    settled,
};

async fn app_on(dir: &Path, consumer: &MemoryConsumer) -> App {
    App::open(Store::embedded(dir).unwrap()).inbox(savings_inbox(consumer)).start().await.unwrap()
}

fn send(consumer: &MemoryConsumer, ids: std::ops::RangeInclusive<u64>) {
    for id in ids {
        sent(consumer, &id.to_string(), "eve", 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_and_lost_comes_again_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, backups) = (folder.path().join("data"), folder.path().join("backups"));
    let consumer = MemoryConsumer::new();
    send(&consumer, 1..=5);
    let app = app_on(&dir, &consumer).await;
    settled(&app, 5).await;
    app.shutdown().await.unwrap();
    back_up_closed(&dir, &backups).await;
    send(&consumer, 6..=9);
    let app = app_on(&dir, &consumer).await;
    settled(&app, 4).await;
    app.shutdown().await.unwrap();
    restore(&backups, &dir, None);

    let app = app_on(&dir, &consumer).await;
    settled(&app, 4).await;
    assert_eq!(balance(&app, "eve").await, 9);
    app.shutdown().await.unwrap();
    let app = app_on(&dir, &consumer).await;
    send(&consumer, 10..=10);
    settled(&app, 1).await;
    assert_eq!((balance(&app, "eve").await, inbox(&app).status().handled), (10, 1));
    app.shutdown().await.unwrap();
}
