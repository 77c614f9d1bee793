//! Followers beside a writer in another process that is killed again and again: whatever they show is there afterwards, in the same
//! place, and whatever was acknowledged they show. `ANNALIST_CRASH_ROUNDS` sets how often, `ANNALIST_SEED` repeats a run's moments.

#![expect(clippy::print_stdout, reason = "a failed run says how to repeat it")]

use std::{
    fs,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use annalist_core::{Cursor, Delivery, EventStore as _, Position, Query, RecordedEvent, StoreError};
use annalist_store::{FollowOptions, Follower, Store, StoreOptions};
use tests::writer::{Acks, Kills, Writer, audit, everything};

/// Far longer than anything here takes.
const LONG: Duration = Duration::from_mins(4);

fn writer() -> Command {
    Command::new(env!("CARGO_BIN_EXE_crash_writer"))
}

fn follow(dir: &std::path::Path) -> Follower {
    let mut options = FollowOptions::default();
    options.interval_millis = 2;
    options.index_chunk_events = 150;
    Store::follow(dir, options).expect("the store can be followed")
}

type Seen = Arc<Mutex<Vec<RecordedEvent>>>;

/// A consumer that only reads: takes everything from the beginning on.
fn consume(follower: &Follower) -> (Seen, tokio::task::JoinHandle<()>) {
    let (seen, follower) = (Seen::default(), follower.clone());
    let into = Arc::clone(&seen);
    let task = tokio::spawn(async move {
        let mut subscription = follower.subscribe(Query::all(), Cursor::START).await.expect("it begins");
        loop {
            match subscription.next().await {
                Ok(Delivery::Events(events)) => {
                    let mut seen = into.lock().expect("nobody panicked");
                    for event in events {
                        assert_eq!(event.position.get(), seen.len() as u64 + 1, "dense, and each event once");
                        seen.push(event);
                    }
                }
                Ok(_) => {}
                Err(StoreError::Closed) => return,
                Err(error) => panic!("{error}"),
            }
        }
    });
    (seen, task)
}

/// Waits until so many events were seen.
async fn wait_for(seen: &Seen, task: &tokio::task::JoinHandle<()>, count: usize) {
    let wait = async {
        while seen.lock().expect("nobody panicked").len() < count {
            assert!(!task.is_finished(), "the consumer goes on");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LONG, wait).await.expect("it catches up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shown_survives_the_writer_and_what_was_acknowledged_is_shown() {
    let mut kills = Kills::of(8);
    println!("replay with {kills}");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path().join("store");
    let mut acks = Acks::new();
    let mut lasting: Option<(Follower, Seen, tokio::task::JoinHandle<()>)> = None;
    for round in 0..kills.rounds {
        let writer = Writer::start(&mut writer(), &dir, &format!("r{round}"), &[]);
        let young = follow(&dir);
        let (seen, consumer) = consume(&young);
        let lasts = lasting.get_or_insert_with(|| {
            let follower = follow(&dir);
            let (seen, consumer) = consume(&follower);
            (follower, seen, consumer)
        });
        kills.kill(writer, 1500, &mut acks);
        // Nobody has it open.
        let acked = usize::try_from(acks.values().map(|(_, last)| *last).max().unwrap_or(0)).expect("few");
        wait_for(&seen, &consumer, acked).await;
        wait_for(&lasts.1, &lasts.2, acked).await;
        let late = follow(&dir);
        let shown = audit(&late, &acks).await;
        assert!(shown >= acked as u64);
        let shown = everything(&late).await;
        late.close().await.expect("it closes");

        let store = Store::open(&dir).unwrap_or_else(|error| panic!("round {round}: {error:?}"));
        let truth = everything(&store).await;
        assert!(truth.starts_with(&shown), "round {round}: a follower of a dead store showed what is not there");
        for seen in [&seen, &lasts.1] {
            let seen = seen.lock().expect("nobody panicked");
            assert!(truth.starts_with(&seen), "round {round}: a follower showed what is not there");
        }
        wait_for(&seen, &consumer, truth.len()).await;
        wait_for(&lasts.1, &lasts.2, truth.len()).await;
        assert_eq!(audit(&young, &acks).await, truth.len() as u64, "round {round}");
        assert_eq!(audit(&lasts.0, &acks).await, truth.len() as u64, "round {round}");
        let indexed = lasts.0.statistics().await.expect("it is known").indexed;
        println!(
            "round {round}: {} events, the lasting follower looks those behind {indexed} up in memory",
            truth.len()
        );
        young.close().await.expect("it closes");
        consumer.await.expect("it ends in order");
        store.close().await.expect("the store closes");
    }
    let (follower, _, consumer) = lasting.expect("there was a round");
    follower.close().await.expect("it closes");
    consumer.await.expect("it ends in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_whose_sync_failed_is_not_shown() {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let dir = temporary.path().join("store");
    let (mut writer, trigger) = Writer::start_with_failing_sync(&mut writer(), temporary.path(), &dir);
    let follower = follow(&dir);
    let (seen, consumer) = consume(&follower);
    let mut acks = Acks::new();
    writer.wait(200, &mut acks);
    fs::write(&trigger, "").expect("the trigger can be written");
    let rest = writer.rest(&mut acks);
    let last = acks.values().map(|(_, last)| *last).max().expect("there are some");
    let durable = rest.iter().find_map(|line| line.strip_prefix("readable ")?.split(' ').next_back()?.parse().ok());
    assert_eq!(durable, Some(last), "the writer shows what was acknowledged");
    wait_for(&seen, &consumer, usize::try_from(last).expect("few")).await;
    // The write itself is there for everybody to be read.
    let late = follow(&dir);
    for follower in [&follower, &late] {
        assert_eq!(follower.head().await.expect("it is known").position, Position::new(last));
        follower.close().await.expect("it closes");
    }
    consumer.await.expect("it ends in order");
    assert_eq!(seen.lock().expect("nobody panicked").len() as u64, last);
}

/// A lone writer's files are used again all the time when they are small.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_used_again_are_followed() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path().join("store");
    let mut options = StoreOptions::default();
    options.memtable_bytes = 64 * 1024;
    options.index_chunk_events = 300;
    let options = serde_json::to_string(&options).expect("options are data");
    let (mut first, step) = (1, 4000);
    let mut lasting = None;
    for _ in 0..3 {
        let range = (first.to_string(), (first + step - 1).to_string());
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_wal_writer"));
        let mut child = command.arg(&dir).args([&range.0, &range.1, &options]);
        child = child.stdout(std::process::Stdio::piped());
        let mut child = child.spawn().expect("the writer starts");
        let mut said = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().expect("it is piped")));
        assert_eq!(said.next().and_then(Result::ok).as_deref(), Some("open"));
        let (follower, seen, consumer) = lasting.get_or_insert_with(|| {
            let follower = follow(&dir);
            let (seen, consumer) = consume(&follower);
            (follower, seen, consumer)
        });
        first += step;
        wait_for(seen, consumer, usize::try_from(first - 1).expect("few")).await;
        // It waits, idle, with what it wrote last in no table.
        assert_eq!(said.next().and_then(Result::ok).as_deref(), Some("done"));
        let late = follow(&dir);
        assert_eq!(everything(&late).await, *seen.lock().expect("nobody panicked"));
        late.close().await.expect("it closes");
        // What the index has is not kept in memory, but for what is less than two chunks of either.
        let index = async {
            while follower.statistics().await.expect("it is known").indexed.get() + 900 < first - 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(LONG, index).await.expect("the index goes on");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }
    let (follower, seen, consumer) = lasting.expect("there was a round");
    for (event, number) in seen.lock().expect("nobody panicked").iter().zip(1..) {
        assert!(event.payload().starts_with(format!("event {number:08} ").as_bytes()), "{event:?}");
    }
    follower.close().await.expect("it closes");
    consumer.await.expect("it ends in order");
}
