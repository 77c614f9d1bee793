//! What stands on disk for ever, and single steps.

use std::time::Duration;

use annalist_core::{EventId, Metadata, Position, Tag, Timestamp, Version};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Effects, Input, Route, Saga,
    model::{EffectId, Rejection, Sent},
    name::{Names, is_name},
    record::{Audit, Entry, Held, InputRecord, Kind, Quarantine, Record, TimerRecord},
    step,
};
use crate::{
    command::CommandSet,
    event::{DecodeError, EncodeError, EventSet, Recorded},
};

#[derive(Clone, Debug)]
struct Nothing;

impl EventSet for Nothing {
    const CATEGORY: &'static str = "nothing";
    const TYPES: &'static [(&'static str, u16)] = &[("nothing", 1)];
    fn event_type(&self) -> (&'static str, u16) {
        ("nothing", 1)
    }
    fn tags(&self) -> Result<Vec<Tag>, EncodeError> {
        Ok(Vec::new())
    }
    fn encode(&self) -> Result<bytes::Bytes, EncodeError> {
        Ok(bytes::Bytes::new())
    }
    fn decode(_: &str, _: u16, _: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self)
    }
}

/// Counts timers; does what the timer says.
#[derive(Default, Debug, PartialEq, Serialize, Deserialize)]
struct Clock {
    ticks: u64,
}

#[derive(Serialize, Deserialize)]
enum Tick {
    Set(u64),
    Flood,
    Complete,
}

impl Saga for Clock {
    const NAME: &'static str = "clock";
    const VERSION: u32 = 2;
    type Event = Nothing;
    type Timer = Tick;
    fn commands(_: &mut CommandSet) {}
    fn route(_: &Recorded<Nothing>) -> Route {
        Route::Ignore
    }
    fn evolve(&mut self, _: &Input<Self>) {
        self.ticks += 1;
    }
    fn react(&self, input: &Input<Self>, effects: &mut Effects<Self>) {
        match input {
            Input::Timer(Tick::Set(seconds)) => {
                let after = Duration::from_secs(*seconds);
                effects.set(Tick::Complete, after).cancel(Tick::Complete).set(Tick::Complete, after);
            }
            Input::Timer(Tick::Flood) => {
                for seconds in 0..1000 {
                    effects.set(Tick::Set(seconds), Duration::ZERO);
                }
            }
            Input::Timer(Tick::Complete) => drop(effects.complete()),
            _ => {}
        }
    }
    fn migrate(version: u32, state: Value) -> Option<Self> {
        (version == 1).then(|| Self { ticks: state.as_u64().unwrap() })
    }
}

const NOW: Timestamp = Timestamp::from_micros(1_000_000);

fn tick(tick: Tick) -> (InputRecord, Input<Clock>) {
    let timer = serde_json::to_value(&tick).unwrap();
    (InputRecord::Timer { id: Uuid::from_u128(1), timer }, Input::Timer(tick))
}

fn take(before: &Entry, (record, input): (InputRecord, Input<Clock>)) -> Result<Entry, String> {
    step::take(before, "saga.clock-a", record, &input, NOW)
}

fn begin() -> Entry {
    step::begin::<Clock>(NOW, Metadata::default())
}

#[test]
fn names_are_checked_and_joined() {
    assert_eq!(Names::<Clock>::CATEGORY, "saga.clock");
    assert!(is_name("a") && is_name(&"a".repeat(59)));
    assert!(!is_name("") && !is_name("a-b") && !is_name("a\n") && !is_name(&"a".repeat(60)));
}

#[test]
fn ids_stay_what_they_were() {
    let event = InputRecord::Event { position: Position::new(7), id: EventId::new(Uuid::from_u128(7)) };
    let id = event.id("saga.transfer-t1");
    // Version 5 UUIDs, computed outside of Rust.
    assert_eq!(event.identity(), "event/00000000-0000-0000-0000-000000000007");
    assert_eq!(id.to_string(), "541da28c-3465-5ec8-a207-df74aa4d9900");
    assert_eq!(EffectId::of(id, 0).to_string(), "bba426b0-6439-5d92-9546-9737441de855");
    assert_eq!(EffectId::of(id, 1).to_string(), "f84359bb-d8f8-58fc-8fdb-2079d2622bba");
}

#[test]
fn records_stay_readable() {
    let sent = Sent {
        id: EffectId(Uuid::from_u128(2)),
        caused_by: Uuid::from_u128(1),
        category: "account".to_owned(),
        target: "alice".to_owned(),
        command: "withdraw".to_owned(),
        content: json!({ "cents": 60 }),
        note: json!(7),
        by_hand: true,
    };
    let rejection = Rejection { message: "no".to_owned(), detail: json!("No") };
    let entry = Entry {
        input: Some(InputRecord::Rejected { command: sent.clone(), rejection }),
        audit: Some(Audit::new("ada", "because")),
        saga_version: 3,
        state: Some(json!({ "phase": "Done" })),
        completed: true,
        pending: vec![sent],
        timers: vec![TimerRecord { id: Uuid::from_u128(3), due: NOW, timer: json!("Deadline") }],
        quarantine: Some(Quarantine {
            reason: "why".to_owned(),
            since: NOW,
            effect: Some(EffectId(Uuid::from_u128(2))),
        }),
        held: Some(Held { from: Version::new(4), count: 5 }),
        began: NOW,
        circumstances: Metadata { correlation_id: Some("c".to_owned()), ..Metadata::default() },
    };
    let command = json!({
        "id": "00000000-0000-0000-0000-000000000002", "caused_by": "00000000-0000-0000-0000-000000000001",
        "category": "account", "target": "alice", "command": "withdraw", "content": { "cents": 60 }, "note": 7, "by_hand": true,
    });
    let golden = json!({
        "input": { "kind": "rejected", "command": command, "rejection": { "message": "no", "detail": "No" } },
        "audit": { "who": "ada", "why": "because" },
        "saga_version": 3,
        "state": { "phase": "Done" },
        "completed": true,
        "pending": [command],
        "timers": [{ "id": "00000000-0000-0000-0000-000000000003", "due": 1_000_000, "timer": "Deadline" }],
        "quarantine": { "reason": "why", "since": 1_000_000, "effect": "00000000-0000-0000-0000-000000000002" },
        "held": { "from": 4, "count": 5 },
        "began": 1_000_000,
        "circumstances": { "correlation_id": "c" },
    });
    assert_eq!(serde_json::to_value(&entry).unwrap(), golden);
    let read = Record::<Clock>::decode("saga-input-taken", 1, golden.to_string().as_bytes()).unwrap();
    assert_eq!((read.kind, read.entry), (Kind::Taken, entry));
    let least = json!({ "saga_version": 1, "began": 0 }).to_string();
    assert!(Record::<Clock>::decode("saga-released", 1, least.as_bytes()).is_ok());
    let newer = Record::<Clock>::decode("saga-input-held", 2, least.as_bytes());
    assert!(matches!(newer, Err(DecodeError::FutureVersion { .. })), "{newer:?}");
}

#[test]
fn a_timer_that_is_set_again_is_one() {
    let next = take(&begin(), tick(Tick::Set(5))).unwrap();
    let due: Vec<_> = next.timers.iter().map(|timer| timer.due.as_micros()).collect();
    assert_eq!((next.state, due), (Some(json!({ "ticks": 1 })), vec![6_000_000]));
    let again = take(&Entry { state: None, ..next }, tick(Tick::Set(9))).unwrap();
    assert_eq!(again.timers.len(), 1);
}

#[test]
fn too_much_that_is_open_is_refused() {
    let why = take(&begin(), tick(Tick::Flood)).unwrap_err();
    assert_eq!(why, "it has 1000 timers, at most 256 are allowed");
}

#[test]
fn a_completed_instance_keeps_its_state() {
    let done = take(&begin(), tick(Tick::Complete)).unwrap();
    assert!(done.completed && done.timers.is_empty());
    let after = take(&done, tick(Tick::Set(1))).unwrap();
    assert_eq!((after.state, after.timers.len()), (done.state, 0));
}

#[test]
fn states_of_other_versions_are_migrated_or_refused() {
    let entry = |saga_version, state| Entry { saga_version, state: Some(state), ..begin() };
    assert_eq!(step::state::<Clock>(&begin()), Ok(Clock::default()));
    assert_eq!(step::state::<Clock>(&entry(1, json!(7))), Ok(Clock { ticks: 7 }));
    let newer = step::state::<Clock>(&entry(3, json!(7))).unwrap_err();
    assert_eq!(newer, "the state is of version 3, the saga of version 2, and `migrate` has no answer");
    let changed = step::state::<Clock>(&entry(2, json!("?"))).unwrap_err();
    assert!(changed.contains("increment VERSION and write `migrate`"), "{changed}");
}

#[test]
fn long_rejections_keep_their_message() {
    assert_eq!(step::rejection("no".to_owned(), json!("x".repeat(70_000))).detail, Value::Null);
    assert_eq!(step::rejection("no".to_owned(), json!("x")).detail, json!("x"));
}
