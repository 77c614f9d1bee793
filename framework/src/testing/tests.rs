//! The testing kit fails when it should, and says why.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};

use super::{difference::difference, given};
use crate::{Command, Context, Decide, Decision, Event, State, TestEnv, emit, ensure};

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
