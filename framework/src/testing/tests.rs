//! The testing kit fails when it should, and says why.

use std::panic::{AssertUnwindSafe, catch_unwind};

use annalist_core::{Invalid, Query, QueryItem, StreamId, Tag};
use serde::{Deserialize, Serialize};

use super::{difference::difference, given, given_scope};
use crate::{Command, Context, Decide, Decision, Event, Scope, State, TestEnv, emit, ensure};

#[derive(Event, Clone, Debug, PartialEq)]
#[event(category = "counter")]
enum Counted {
    #[event(name = "counted")]
    By {
        steps: u32,
        /// Not in the payload, which a round trip brings to light.
        #[serde(skip)]
        forgotten: u32,
    },
}

fn by(steps: u32) -> Counted {
    Counted::By { steps, forgotten: 0 }
}

#[derive(Default)]
struct Counter(u32);

impl State for Counter {
    type Event = Counted;
    fn evolve(&mut self, Counted::By { steps, forgotten }: &Counted) {
        self.0 += steps + forgotten;
    }
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "count")]
struct Count {
    steps: u32,
    forget: u32,
}

#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[error("far enough")]
struct FarEnough;

impl Decide<Count> for Counter {
    type Rejection = FarEnough;
    type Reply = (u32, i64);
    fn decide(&self, command: &Count, cx: &Context) -> Result<Decision<Counted, (u32, i64)>, FarEnough> {
        ensure!(self.0 + command.steps <= 10, FarEnough);
        let event = Counted::By { steps: command.steps, forgotten: command.forget };
        Ok(emit(event).reply((self.0 + command.steps, cx.now().as_micros())))
    }
}

const COUNT: Count = Count { steps: 2, forget: 0 };

fn message(test: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(test)).expect_err("the test should fail");
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn what_holds_passes() {
    let replied = (7, TestEnv::START.as_micros());
    let then = given::<Counter>([by(5)]).when(COUNT).then_emits([by(2)]).then_replies(replied);
    then.then_state(|counter| assert_eq!(counter.0, 7));
    given::<Counter>([by(5), by(5)]).when(COUNT).then_rejected(FarEnough);
}

#[test]
fn other_events_are_shown_line_by_line() {
    let shown = message(|| drop(given::<Counter>([]).when(COUNT).then_emits([by(3)])));
    let lines = [
        "`count` emits other events than expected",
        "  (- expected, + actual)",
        "  [",
        "      By {",
        "-         steps: 3,",
        "+         steps: 2,",
        "          forgotten: 0,",
        "      },",
        "  ]",
    ];
    assert_eq!(shown, lines.join("\n"));
}

#[test]
fn every_other_mistake_fails_too() {
    let nothing = message(|| drop(given::<Counter>([]).when(COUNT).then_nothing()));
    assert!(nothing.contains("emits other events"), "{nothing}");
    let reply = message(|| drop(given::<Counter>([]).when(COUNT).then_replies((3, 0))));
    assert!(reply.contains("`count` replies otherwise") && reply.contains("-     3,\n"), "{reply}");
    let accepted = message(|| drop(given::<Counter>([]).when(COUNT).then_rejected(FarEnough)));
    assert!(accepted.contains("is accepted, but should be rejected with FarEnough"), "{accepted}");
    let rejected = message(|| drop(given::<Counter>([by(9)]).when(COUNT).then_emits([by(2)])));
    assert!(rejected.contains("is rejected, but should be accepted: FarEnough"), "{rejected}");
}

#[test]
fn an_event_that_does_not_survive_its_bytes_fails() {
    let emitted = Counted::By { steps: 2, forgotten: 4 };
    let lossy = message(|| drop(given::<Counter>([]).when(Count { forget: 4, ..COUNT }).then_emits([emitted])));
    assert!(lossy.contains("`counted` is read as another event than was written"), "{lossy}");
}

#[test]
fn equal_values_do_not_differ() {
    assert_eq!(difference(&"same", &"same"), "  (- expected, + actual)\n  \"same\"");
    assert_eq!(difference(&[0; 0], &[1]), "  (- expected, + actual)\n- []\n+ [\n+     1,\n+ ]");
}

#[derive(Event, Clone, Debug, PartialEq)]
#[event(category = "seat")]
enum Seated {
    #[event(name = "seated")]
    At {
        #[event(tag)]
        row: u32,
        guest: String,
    },
    #[event(name = "left")]
    Left { row: u32 },
}

fn at(row: u32) -> Seated {
    Seated::At { row, guest: "ada".to_owned() }
}

/// One guest to a row.
#[derive(Default)]
struct Row(u32);

impl State for Row {
    type Event = Seated;
    fn evolve(&mut self, event: &Seated) {
        match event {
            Seated::At { .. } => self.0 += 1,
            Seated::Left { .. } => self.0 = 0,
        }
    }
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "sit")]
struct Sit {
    row: u32,
    /// Which mistake the query or the home makes.
    mistake: String,
}

fn sit(mistake: &str) -> Sit {
    Sit { row: 4, mistake: mistake.to_owned() }
}

impl Decide<Sit> for Row {
    type Rejection = FarEnough;
    type Reply = ();
    fn decide(&self, sit: &Sit, _: &Context) -> Result<Decision<Seated>, FarEnough> {
        ensure!(self.0 == 0, FarEnough);
        Ok(emit(at(sit.row)))
    }
}

impl Scope<Sit> for Row {
    fn query(sit: &Sit) -> Result<Query, Invalid> {
        let row = if sit.mistake == "row" { sit.row + 1 } else { sit.row };
        let item = QueryItem::new().tags([Tag::new(format!("row:{row}"))?]);
        Ok(if sit.mistake == "nothing" { std::iter::empty().collect() } else { Query::of(item) })
    }

    fn home(sit: &Sit, event: &Seated) -> Result<StreamId, Invalid> {
        let category = if sit.mistake == "home" { "table" } else { "seat" };
        let (Seated::At { row, .. } | Seated::Left { row }) = event;
        StreamId::of(category, row)
    }
}

#[test]
fn a_scope_that_is_right_passes() {
    given_scope::<Row>([]).when(sit("")).then_emits([at(4)]).then_state(|row| assert_eq!(row.0, 1));
    given_scope::<Row>([at(4)]).when(sit("")).then_rejected(FarEnough);
    given_scope::<Row>([]).recorded_in("seat-back", [at(4)]).when(sit("")).then_rejected(FarEnough);
}

#[test]
fn a_given_event_that_the_decision_would_never_see_fails() {
    let other_row = message(|| drop(given_scope::<Row>([at(4), at(5)]).when(sit(""))));
    let said = "the given event `seated` in stream `seat-5` does not match the query of `sit` (tag `row:4`): the decision \
                would never see it";
    assert_eq!(other_row, said);
    let untagged = message(|| drop(given_scope::<Row>([Seated::Left { row: 4 }]).when(sit(""))));
    assert!(untagged.starts_with("the given event `left` in stream `seat-4` does not match"), "{untagged}");
}

#[test]
fn an_emitted_event_that_the_same_decision_should_see_fails_outside_of_the_query() {
    let unseen = message(|| drop(given_scope::<Row>([]).when(sit("row"))));
    let said = "`sit` emits `seated` in stream `seat-4` outside of its query (tag `row:5`), but would decide otherwise if it \
                saw that: let the query match it";
    assert_eq!(unseen, said);
}

#[test]
fn a_scope_that_no_store_would_take_fails() {
    let home = message(|| drop(given_scope::<Row>([]).when(sit("home"))));
    assert_eq!(home, "`seated` is of category `seat` and cannot be recorded in stream `table-4`");
    let nothing = message(|| drop(given_scope::<Row>([]).when(sit("nothing"))));
    assert!(nothing.starts_with("no store accepts the query of `sit`"), "{nothing}");
    let elsewhere = message(|| drop(given_scope::<Row>([]).recorded_in("table-4", [at(4)]).when(sit(""))));
    assert_eq!(elsewhere, "`seated` is of category `seat` and cannot be recorded in stream `table-4`");
}
