//! Log and views on disk, through everything that views go through.

use std::path::Path;

use annalist_store::{KeyValue, Store};

use super::bank::{BALANCES, Balances, TOTALS, World, movements, sum};

fn open(dir: &Path) -> (World, Store, KeyValue) {
    let store = Store::open(dir.join("log")).unwrap();
    let views = KeyValue::open(dir.join("views")).unwrap();
    (World::of(store.clone(), views.clone()), store, views)
}

async fn close(store: Store, views: KeyValue) {
    views.close().unwrap();
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_on_disk_survives_restarts_is_rebuilt_and_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (world, store, views) = open(dir.path());
    world.record(movements(3000)).await;
    let projections = world.start(Balances).await;
    projections.view::<Balances>().unwrap().ready().await.unwrap();
    assert!(projections.shutdown().await);
    drop((world, projections));
    close(store, views).await;

    let (world, store, views) = open(dir.path());
    let last = world.record(movements(500)).await;
    let projections = world.start(Balances).await;
    let view = projections.view::<Balances>().unwrap();
    assert!(view.cursor().position.get() >= 3000, "the view was there");
    let expected = Some((3500, sum(3000) + sum(500)));
    assert_eq!(view.after(last).get(&TOTALS, &()).await.unwrap(), expected);
    let balances = view.scan(&BALANCES).await.unwrap();

    let rebuild = projections.rebuild::<Balances>();
    let more = world.record(movements(5)).await;
    assert!(rebuild.await.unwrap().events >= 3500);
    assert_eq!(view.after(more).get(&TOTALS, &()).await.unwrap(), Some((3505, sum(3000) + sum(500) + sum(5))));
    projections.rebuild::<Balances>().await.unwrap();
    assert_eq!(view.scan(&BALANCES).await.unwrap().len(), balances.len());
    assert_eq!(world.raw_rows().len(), 1 + 1 + balances.len() + 1);
    assert!(projections.shutdown().await);
    drop((world, projections, view));
    close(store, views).await;

    // A lost view is replayed.
    std::fs::remove_dir_all(dir.path().join("views")).unwrap();
    let (world, store, views) = open(dir.path());
    let projections = world.start(Balances).await;
    let view = projections.view::<Balances>().unwrap().after(more);
    assert_eq!(view.get(&TOTALS, &()).await.unwrap(), Some((3505, sum(3000) + sum(500) + sum(5))));
    assert!(projections.shutdown().await);
    drop((world, projections, view));
    close(store, views).await;
}
