//! Snapshots spare reading, and never give a wrong state.

use annalist::{Aggregate, App, EventId, Read, SnapshotPolicy, StartError, State, StreamId, Version};
use annalist_core::{Snapshot, Snapshots};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    account::{Account, AccountEvent, Churn},
    alice, balance, deposit,
    watched::{Notes, Watched},
    withdraw,
};

const POLICY: SnapshotPolicy = SnapshotPolicy::every(3);

async fn app(watched: &Watched, policy: SnapshotPolicy) -> App {
    App::open(watched.store()).snapshots::<Account>(policy).start().await.unwrap()
}

fn stream() -> StreamId {
    StreamId::new("account-alice").unwrap()
}

async fn snapshot(watched: &Watched) -> Option<Snapshot> {
    Snapshots::load(&watched.memory, &stream()).await.unwrap()
}

/// A store with four deposits of one cent, whose snapshot, of the third, says that there are 1000 more.
async fn with_a_false_snapshot() -> (Watched, Snapshot) {
    let watched = Watched::default();
    let app = app(&watched, POLICY).await;
    for _ in 0..4 {
        deposit(&app, 1).await;
    }
    let mut kept = snapshot(&watched).await.unwrap();
    kept.state = bincode::serde::encode_to_vec(Account { cents: 1003 }, bincode::config::standard()).unwrap().into();
    Snapshots::save(&watched.memory, &stream(), kept.clone()).await.unwrap();
    *watched.notes() = Notes::default();
    (watched, kept)
}

#[tokio::test]
async fn a_snapshot_is_taken_when_it_is_due() {
    let watched = Watched::default();
    let app = app(&watched, POLICY).await;
    for due in [None, None, Some(3), Some(3), Some(3), Some(6)] {
        deposit(&app, 1).await;
        let version = snapshot(&watched).await.map(|snapshot| snapshot.version.get());
        assert_eq!(version, due);
    }
    app.on::<Account>(alice()).execute(Churn { times: 4 }).await.unwrap();
    let last = snapshot(&watched).await.unwrap();
    assert_eq!(last.version, Version::new(14));
    // printf 'money-deposited/2\nmoney-withdrawn/1\n' | sha256sum | cut -c1-32
    assert_eq!(last.schema, "account/1/ecd572e29564c94c78e5fbedc75f4b42");
    let events = watched.notes().appends.last().unwrap().entries[0].events.clone();
    assert_eq!(last.event_id, events.last().unwrap().id);
}

#[tokio::test]
async fn a_stream_is_read_from_its_snapshot_on() {
    let (watched, _) = with_a_false_snapshot().await;
    let app = app(&watched, POLICY).await;
    // That the false state shines through shows that the snapshot is used.
    assert_eq!(withdraw(&app, 1).await.reply, 1003);
    assert_eq!(watched.notes().reads, [Read::stream(stream(), Version::new(2))]);
}

#[tokio::test]
async fn a_snapshot_of_another_version_is_passed_over() {
    let (watched, _) = with_a_false_snapshot().await;
    let app = app(&watched, POLICY.version(2)).await;
    assert_eq!(withdraw(&app, 1).await.reply, 3);
    // It is replaced by one of this version.
    assert!(snapshot(&watched).await.unwrap().schema.starts_with("account/2/"));
    assert_eq!(balance(&app).await, 3);
}

#[tokio::test]
async fn a_snapshot_of_another_history_is_passed_over() {
    let (watched, kept) = with_a_false_snapshot().await;
    let app = app(&watched, POLICY).await;
    let other_event = Snapshot { event_id: EventId::new(Uuid::from_u128(1)), ..kept.clone() };
    let beyond_the_end = Snapshot { version: Version::new(5), ..kept.clone() };
    let before_the_beginning = Snapshot { version: Version::ZERO, ..kept.clone() };
    let other_version = Snapshot { version: Version::new(2), ..kept };
    for wrong in [other_event, beyond_the_end, before_the_beginning, other_version] {
        Snapshots::save(&watched.memory, &stream(), wrong.clone()).await.unwrap();
        assert_eq!(balance(&app).await, 4, "{wrong:?}");
    }
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_read_is_passed_over() {
    let (watched, kept) = with_a_false_snapshot().await;
    let app = app(&watched, POLICY).await;
    for bytes in [&[][..], &[0xff; 9], &[1, 2]] {
        Snapshots::save(&watched.memory, &stream(), Snapshot { state: bytes.to_vec().into(), ..kept.clone() })
            .await
            .unwrap();
        assert_eq!(balance(&app).await, 4, "{bytes:?}");
    }
}

/// Another state that is folded from the same events.
#[derive(Default, Serialize, Deserialize)]
struct Turnover(u64);

impl State for Turnover {
    type Event = AccountEvent;
    fn evolve(&mut self, _: &AccountEvent) {
        self.0 += 1;
    }
}

impl Aggregate for Turnover {
    type Id = String;
}

#[tokio::test]
async fn two_states_of_one_stream_cannot_share_its_snapshot() {
    let store = Watched::default().store();
    let refused = App::open(store).snapshots::<Account>(POLICY).snapshots::<Turnover>(POLICY).start().await;
    assert!(matches!(refused, Err(StartError::SnapshotsTwice { category: "account" })), "{refused:?}");
}

#[tokio::test]
async fn a_snapshot_is_taken_by_size_too() {
    let watched = Watched::default();
    let app = app(&watched, SnapshotPolicy::every(1000).or_bytes(100)).await;
    // `{"transfer":null,"cents":1}`
    for due in [None, None, None, Some(4), Some(4), Some(4), Some(4), Some(8)] {
        deposit(&app, 1).await;
        assert_eq!(snapshot(&watched).await.map(|snapshot| snapshot.version.get()), due);
    }
}

#[tokio::test]
async fn what_is_read_counts_for_the_size() {
    let watched = Watched::default();
    let without = super::app_on(&watched).await;
    for _ in 0..5 {
        deposit(&without, 1).await;
    }
    let app = app(&watched, SnapshotPolicy::every_bytes(150)).await;
    deposit(&app, 1).await;
    assert_eq!(snapshot(&watched).await.unwrap().version, Version::new(6));
}

/// The events of the account when there is one more of them.
#[derive(annalist::Event, Clone)]
#[event(category = "account")]
enum LaterEvent {
    #[event(name = "money-withdrawn")]
    Withdrawn { cents: u64 },
    #[event(name = "money-deposited", version = 2)]
    Deposited { cents: u64 },
    #[event(name = "account-closed")]
    Closed,
}

#[derive(Default, Serialize, Deserialize)]
struct Later {
    cents: u64,
}

impl State for Later {
    type Event = LaterEvent;
    fn evolve(&mut self, event: &LaterEvent) {
        match event {
            LaterEvent::Deposited { cents } => self.cents += cents,
            LaterEvent::Withdrawn { cents } => self.cents -= cents,
            LaterEvent::Closed => self.cents = 0,
        }
    }
}

impl Aggregate for Later {
    type Id = String;
}

#[tokio::test]
async fn a_snapshot_of_other_events_is_passed_over() {
    let (watched, _) = with_a_false_snapshot().await;
    let app = App::open(watched.store()).snapshots::<Later>(POLICY).start().await.unwrap();
    assert_eq!(app.load::<Later>(&alice()).await.unwrap().state.cents, 4);
}
