//! An app with everything that belongs to one, in memory and on disk.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod counter;

use std::time::Duration;

use annalist::{App, OpenError, SnapshotPolicy, StartError, Store, StoreError, outbox::MemoryPublisher};
use counter::{COUNTS, Count, Counter, Counts, outbox};

async fn app(store: Store, publisher: &MemoryPublisher) -> App {
    let app = App::open(store).snapshots::<Counter>(SnapshotPolicy::every(2)).projection(Counts);
    app.outbox(outbox(publisher)).start().await.unwrap()
}

/// Counts by `steps`, and checks that everything that hangs on it follows.
async fn count(app: &App, steps: u64, total: u64) {
    let id = "a".to_owned();
    let receipt = app.on::<Counter>(id.clone()).execute(Count(steps)).await.unwrap();
    assert_eq!(receipt.reply, total);
    let view = app.view::<Counts>().unwrap().after(receipt.cursor);
    assert_eq!(view.get(&COUNTS, &id).await, Ok(Some(total)));
    let relay = app.relays().first().unwrap();
    tokio::time::timeout(Duration::from_secs(30), relay.published(receipt.cursor)).await.unwrap().unwrap();
}

#[tokio::test]
async fn everything_works_together_in_memory() {
    let publisher = MemoryPublisher::new();
    let app = app(Store::memory(), &publisher).await;
    for n in 1..=5 {
        count(&app, 2, n * 2).await;
    }
    assert_eq!(app.relays().first().unwrap().status().published, 5);
    app.projections().rebuild::<Counts>().await.unwrap();
    count(&app, 1, 11).await;
    app.shutdown().await.unwrap();
}

#[tokio::test]
async fn everything_is_found_again_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let publisher = MemoryPublisher::new();
    for run in 0..3 {
        let app = app(Store::embedded(folder.path()).unwrap(), &publisher).await;
        assert_eq!(app.load::<Counter>(&"a".to_owned()).await.unwrap().state.0, run * 6);
        for n in 1..=3 {
            count(&app, 2, run * 6 + n * 2).await;
        }
        assert_eq!(app.relays().first().unwrap().status().published, 3, "only what is new is published");
        app.shutdown().await.unwrap();
        assert_eq!(app.head().await, Err(StoreError::Closed));
    }
}

#[tokio::test]
async fn a_folder_belongs_to_one_app_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let publisher = MemoryPublisher::new();
    let app = app(Store::embedded(folder.path()).unwrap(), &publisher).await;
    let second = Store::embedded(folder.path());
    assert!(matches!(second, Err(OpenError::Locked { .. })), "{second:?}");
    app.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_wired_is_refused() {
    let publisher = MemoryPublisher::new();
    let twice = App::open(Store::memory()).outbox(outbox(&publisher)).outbox(outbox(&publisher)).start().await;
    assert!(matches!(twice, Err(StartError::OutboxTwice { .. })), "{twice:?}");
    let twice = App::open(Store::memory()).projection(Counts).projection(Counts).start().await;
    let said = twice.unwrap_err().to_string();
    assert_eq!(said, "two projections are called `counts`; rename one of them");
}

#[tokio::test]
async fn an_app_is_described_as_it_is_wired() {
    let outbox = outbox(&MemoryPublisher::new()).publishes("counters.counted.v1");
    let wired = App::open(Store::memory()).command::<Counter, Count>().projection(Counts).outbox(outbox);
    let described = wired.describe();
    assert_eq!(
        described.to_string(),
        r#"```mermaid
flowchart LR
  command_count(["count"])
  aggregate_Counter["Counter"]
  subgraph category_counter["counter"]
    event_counter_counted("counted")
  end
  projection_counts[("counts")]
  outbox_memory>"memory"]
  public_counters_counted_v1("counters.counted.v1")
  command_count --> aggregate_Counter
  aggregate_Counter --> event_counter_counted
  event_counter_counted --> projection_counts
  event_counter_counted --> outbox_memory
  outbox_memory --> public_counters_counted_v1
```

## Commands

| command | aggregate | events of |
|---|---|---|
| `count` | Counter | `counter` |

## Events

| category | event | version | payload | tags |
|---|---|---|---|---|
| `counter` | `counted` | 1 | `steps: u64` |  |

## Projections

| projection | version | follows |
|---|---|---|
| `counts` | 1 | all of `counter` |

## Outboxes

| destination | maps | publishes |
|---|---|---|
| `memory` | all of `counter` | `counters.counted.v1` |
"#
    );
    let app = wired.start().await.unwrap();
    assert_eq!(app.describe(), described);
    app.shutdown().await.unwrap();
}
