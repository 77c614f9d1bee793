//! Single steps, and random ones against an oracle that knows only what happened to the outside.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use annalist_core::{Cursor, Epoch, EventId, Position, RecordedEvent, StoreId, StreamId, Timestamp, Version};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{Answer, Phase, Process, Retry, StepState, Steps, Workflow};
use crate::{
    Aggregate, Command, Context, Decide, Decision, Event, Events, Recorded, State, nothing,
    saga::{Instance, Saga, Sent},
    testing::{GivenWorkflow, given_workflow, to},
};

#[derive(Event, Clone, Debug, PartialEq)]
#[event(category = "task")]
enum TaskEvent {
    #[event(name = "task-begun")]
    Begun { skips: Vec<String> },
    /// Of a step, or of its compensation.
    #[event(name = "task-answered")]
    Answered { step: String, undone: bool, failed: Option<String> },
}

#[derive(Default)]
struct Task;

impl State for Task {
    type Event = TaskEvent;
    fn evolve(&mut self, _: &TaskEvent) {}
}

impl Aggregate for Task {
    type Id = String;
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("no")]
struct No;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "do")]
struct Do;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "undo")]
struct Undo;

impl Decide<Do> for Task {
    type Rejection = No;
    type Reply = u32;
    fn decide(&self, _: &Do, _: &Context) -> Result<Decision<TaskEvent, u32>, No> {
        Ok(nothing().reply(1))
    }
}

impl Decide<Undo> for Task {
    type Rejection = No;
    type Reply = ();
    fn decide(&self, _: &Undo, _: &Context) -> Result<Decision<TaskEvent>, No> {
        Ok(nothing())
    }
}

/// a, b (waits for an event, also when it is undone), c (cannot be undone), d (the pivot), e, f (waits for an event).
#[derive(Serialize, Deserialize, Debug)]
struct Chain {
    skips: Vec<String>,
    replies: u32,
    turned_back: Option<String>,
}

const TIMEOUT: Duration = Duration::from_mins(5);
const RETRY: Retry = Retry::times(2).backoff(Duration::from_secs(1), Duration::from_secs(1));

fn make<C>(step: &'static str, command: fn() -> C) -> impl Fn(&Chain) -> Option<(String, C)> {
    move |chain| (!chain.skips.contains(&step.to_owned())).then(|| (step.to_owned(), command()))
}

fn answer(step: &'static str, undo: bool) -> impl Fn(&mut Chain, &Recorded<TaskEvent>) -> Option<Answer> {
    move |_, recorded| match &recorded.event {
        TaskEvent::Answered { step: of, undone, failed } if of == step && *undone == undo => {
            Some(failed.clone().map_or(Answer::Done, Answer::Failed))
        }
        _ => None,
    }
}

impl Workflow for Chain {
    const NAME: &'static str = "chain";
    const VERSION: u32 = 1;
    type Event = TaskEvent;

    fn start(event: &Recorded<TaskEvent>) -> Option<(String, Self)> {
        let TaskEvent::Begun { skips } = &event.event else { return None };
        Some(("1".to_owned(), Self { skips: skips.clone(), replies: 0, turned_back: None }))
    }

    fn about(_: &Recorded<TaskEvent>) -> Option<String> {
        Some("1".to_owned())
    }

    fn turned_back(&mut self, step: &str, why: &str) {
        self.turned_back = Some(format!("{step}: {why}"));
    }

    fn steps(steps: &mut Steps<Self>) {
        steps
            .step("a")
            .execute::<Task, Do>(make("a", || Do))
            .on_reply(|chain, reply| chain.replies += reply)
            .compensate::<Task, Undo>(make("a", || Undo))
            .retry_compensation(RETRY)
            .timeout(TIMEOUT);
        steps
            .step("b")
            .execute::<Task, Do>(make("b", || Do))
            .until(answer("b", false))
            .retry(RETRY)
            .compensate::<Task, Undo>(make("b", || Undo))
            .compensated_when(answer("b", true))
            .retry_compensation(RETRY)
            .timeout(TIMEOUT)
            .formerly("old b");
        steps.step("c").execute::<Task, Do>(make("c", || Do)).retry(RETRY);
        steps.step("d").execute::<Task, Do>(make("d", || Do)).until(answer("d", false)).timeout(TIMEOUT).pivot();
        steps.step("e").execute::<Task, Do>(make("e", || Do)).retry(RETRY);
        steps.step("f").execute::<Task, Do>(make("f", || Do)).until(answer("f", false)).timeout(TIMEOUT).retry(RETRY);
    }
}

fn begun(skips: &[&str]) -> GivenWorkflow<Chain> {
    given_workflow([TaskEvent::Begun { skips: skips.iter().map(|&skip| skip.to_owned()).collect() }])
}

fn answered(step: &str, undone: bool, failed: Option<&str>) -> TaskEvent {
    TaskEvent::Answered { step: step.to_owned(), undone, failed: failed.map(str::to_owned) }
}

fn done(step: &str) -> TaskEvent {
    answered(step, false, None)
}

use StepState::{Compensated, Compensating, Done, Executing, GivenUp, LeftOut, Rejected, Unknown};

#[test]
fn every_step_is_done_one_after_the_other() {
    begun(&["c"])
        .then_sends([to::<Task, _>("a", Do)])
        .accepted(1)
        .then_sends([to::<Task, _>("b", Do)])
        .accepted(1)
        .then_nothing()
        .when(done("f"))
        .then_nothing()
        .when(done("b"))
        .then_sends([to::<Task, _>("d", Do)])
        // The event may be seen before the outcome of the command.
        .when(done("d"))
        .then_sends([to::<Task, _>("e", Do)])
        .accepted(1)
        .then_nothing()
        .accepted(1)
        .then_sends([to::<Task, _>("f", Do)])
        .accepted(1)
        .when(done("f"))
        .then_data(|chain| assert_eq!((chain.replies, &chain.turned_back), (1, &None)))
        .then_ends([("a", Done), ("b", Done), ("c", LeftOut), ("d", Done), ("e", Done), ("f", Done)]);
}

#[test]
fn what_was_done_is_undone_the_last_first() {
    begun(&["a"])
        .accepted(1)
        .when(done("b"))
        .then_sends([to::<Task, _>("c", Do)])
        .accepted(1)
        .then_sends([to::<Task, _>("d", Do)])
        .rejected(No)
        .then_sends([to::<Task, _>("b", Undo)])
        .accepted(())
        .then_nothing()
        .when(answered("b", true, None))
        .then_data(|chain| assert_eq!(chain.turned_back.as_deref(), Some("d: no")))
        .then_ends([("a", LeftOut), ("b", Compensated), ("c", Compensated), ("d", Rejected)]);
}

#[test]
fn a_step_that_does_not_answer_in_time_is_undone_too_and_an_answer_later_does_no_harm() {
    begun(&[])
        .accepted(1)
        .accepted(1)
        .after(TIMEOUT)
        .then_sends([to::<Task, _>("b", Undo)])
        .then_state(|process| assert_eq!(process.turned_back(), Some("`b`: it was not done within 300s")))
        .when(done("b"))
        .then_nothing()
        .accepted(())
        .when(answered("b", true, Some("busy")))
        .then_nothing()
        .after(Duration::from_secs(1))
        .then_sends([to::<Task, _>("b", Undo)])
        .accepted(())
        // Each attempt waits so long for the event that ends it.
        .after(TIMEOUT + Duration::from_secs(1))
        .then_sends([to::<Task, _>("b", Undo)])
        .when(answered("b", true, None))
        .then_sends([to::<Task, _>("a", Undo)])
        .accepted(())
        .accepted(())
        .then_ends([("a", Compensated), ("b", Compensated)]);
}

#[test]
fn an_overdue_command_is_undone_when_its_outcome_is_known_and_only_if_it_happened() {
    let overdue = || begun(&[]).after(TIMEOUT).then_nothing();
    overdue()
        .then_state(|process| assert_eq!(process.steps().collect::<Vec<_>>(), [("a", Executing(Phase::Overdue))]))
        .accepted(7)
        .then_data(|chain| assert_eq!(chain.replies, 7))
        .then_sends([to::<Task, _>("a", Undo)])
        .accepted(())
        .then_ends([("a", Compensated)]);
    overdue().rejected(No).then_nothing().then_ends([("a", Rejected)]);
    overdue().skipped("nobody knows").then_sends([to::<Task, _>("a", Undo)]);
}

#[test]
fn a_rejection_is_tried_again_as_often_as_was_said_and_within_the_time() {
    let again = |given: GivenWorkflow<Chain>| {
        given.rejected(No).then_nothing().after(Duration::from_secs(1)).then_sends([to::<Task, _>("b", Do)])
    };
    let twice = again(again(begun(&[]).accepted(1)));
    twice
        .rejected(No)
        .then_sends([to::<Task, _>("a", Undo)])
        .accepted(())
        .then_ends([("a", Compensated), ("b", Rejected)]);

    let rejected = again(begun(&[]).accepted(1)).after(Duration::from_secs(298)).rejected(No);
    rejected.after(Duration::from_secs(1)).then_sends([to::<Task, _>("a", Undo)]);
}

fn stuck_behind_the_pivot() -> GivenWorkflow<Chain> {
    let mut given = begun(&["a", "b", "c"]).accepted(1).when(done("d"));
    for _ in 0..2 {
        given = given.rejected(No).after(Duration::from_secs(1)).then_sends([to::<Task, _>("e", Do)]);
    }
    given
        .rejected(No)
        .then_sends([to::<Task, _>("e", Do)])
        .then_quarantined("the step `e` has failed 3 times, and there is no way back: no")
}

#[test]
fn behind_the_pivot_a_person_has_it_tried_again_skips_it_or_forces_it() {
    let again = stuck_behind_the_pivot().released().rejected(No).then_quarantined("the step `e` has failed 4 times");
    again.released().accepted(1).then_sends([to::<Task, _>("f", Do)]);
    stuck_behind_the_pivot()
        .forced(1)
        .then_sends([to::<Task, _>("f", Do)])
        .forced("not even a number, and it waits for an event")
        .then_state(|process| assert_eq!(process.steps().last(), Some(("f", Done))));
    stuck_behind_the_pivot()
        .skipped("we live without")
        .then_sends([to::<Task, _>("f", Do)])
        .accepted(1)
        .when(done("f"))
        .then_ends([("a", LeftOut), ("b", LeftOut), ("c", LeftOut), ("d", Done), ("e", GivenUp), ("f", Done)]);
}

#[test]
fn a_pivot_that_does_not_answer_waits_for_a_person() {
    let asked =
        || {
            begun(&["a", "c"]).accepted(1).when(done("b")).accepted(1).after(TIMEOUT).then_quarantined(
                "the pivot `d`: it was not done within 300s, and whether it has happened is not known",
            )
        };
    asked().forced(1).then_sends([to::<Task, _>("e", Do)]);
    asked().skipped("it has not happened").then_sends([to::<Task, _>("b", Undo)]);
    asked().released().accepted(1).when(done("d")).then_sends([to::<Task, _>("e", Do)]);
}

#[test]
fn a_compensation_that_fails_is_tried_again_then_waits_for_a_person() {
    let stuck = || {
        let mut given = begun(&["b"]).accepted(1).rejected(No).after(Duration::from_secs(1)).rejected(No);
        given = given.after(Duration::from_secs(1)).rejected(No).then_sends([to::<Task, _>("a", Undo)]);
        for _ in 0..2 {
            given = given.rejected(No).after(Duration::from_secs(1)).then_sends([to::<Task, _>("a", Undo)]);
        }
        given.rejected(No).then_quarantined("the compensation of `a` has failed 3 times: no")
    };
    stuck().released().accepted(()).then_ends([("a", Compensated), ("b", LeftOut), ("c", Rejected)]);
    stuck().forced(()).then_ends([("a", Compensated), ("b", LeftOut), ("c", Rejected)]);
    stuck().skipped("so be it").then_ends([("a", GivenUp), ("b", LeftOut), ("c", Rejected)]);
}

/// What stands on disk for ever.
#[test]
fn records_stay_readable() {
    let golden = serde_json::json!({
        "data": { "skips": [], "replies": 1, "turned_back": null },
        "direction": "back",
        "why": "`c`: no",
        "trail": [
            { "step": "a", "state": "done", "attempt": 1 },
            { "step": "old b", "state": { "compensating": "awaiting" }, "attempt": 2 },
            { "step": "c", "state": "rejected", "attempt": 1 },
        ],
    });
    let read: Process<Chain> = serde_json::from_value(golden.clone()).unwrap();
    let steps: Vec<_> = read.steps().collect();
    assert_eq!(steps, [("a", Done), ("old b", Compensating(Phase::Awaiting)), ("c", Rejected)]);
    assert_eq!(serde_json::to_value(&read).unwrap(), golden);
    assert!(Process::<Chain>::migrate(7, golden).is_none(), "the data has another version, and there is no answer");
    let states =
        [LeftOut, Unknown, GivenUp, Executing(Phase::Sent), Executing(Phase::Pausing), Executing(Phase::Overdue)];
    let names =
        r#"["left-out","unknown","given-up",{"executing":"sent"},{"executing":"pausing"},{"executing":"overdue"}]"#;
    assert_eq!(serde_json::to_string(&states).unwrap(), names);
}

#[test]
fn steps_that_cannot_be_are_refused() {
    let wrong = |say: fn(&mut Steps<Chain>)| {
        let mut steps = Steps { all: Vec::new() };
        say(&mut steps);
        steps.check().unwrap_err()
    };
    assert_eq!(wrong(|_| {}), "it has 0 steps; it must have one, and at most 256");
    let twice = wrong(|steps| {
        steps.step("a").execute::<Task, Do>(make("a", || Do));
        steps.step("b").execute::<Task, Do>(make("b", || Do)).formerly("a");
    });
    assert_eq!(twice, "two steps are, or were, called `a`; each needs a name of its own");
    let pivots = wrong(|steps| {
        steps.step("a").execute::<Task, Do>(make("a", || Do)).pivot();
        steps.step("b").execute::<Task, Do>(make("b", || Do)).pivot();
    });
    assert!(pivots.starts_with("two steps are the pivot"), "{pivots}");
    let misplaced = wrong(|steps| {
        steps.step("a").execute::<Task, Do>(make("a", || Do)).retry_compensation(RETRY);
    });
    assert_eq!(misplaced, "`retry_compensation` of the step `a` must stand behind its `compensate`");
}

/// What the outside does next.
#[derive(Clone, Copy, Debug)]
enum Happens {
    Accepts,
    Rejects,
    /// The step that waits is answered.
    Answers {
        fails: bool,
    },
    /// A step that does not wait is answered: late, or never asked.
    Stray(usize),
    Passes(Duration),
    Forces,
    Skips,
    Releases,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => Just(Happens::Accepts),
        2 => Just(Happens::Rejects),
        3 => any::<bool>().prop_map(|fails| Happens::Answers { fails }),
        1 => (0..6_usize).prop_map(Happens::Stray),
        2 => prop_oneof![Just(Duration::from_secs(1)), Just(TIMEOUT)].prop_map(Happens::Passes),
        1 => Just(Happens::Forces),
        1 => Just(Happens::Skips),
        2 => Just(Happens::Releases),
    ]
}

/// The outside, and what it knows to have happened.
struct World {
    instance: Instance<Process<Chain>>,
    now: Timestamp,
    events: u64,
    /// Commands that wait for an outcome, in order: of which step, and whether it undoes.
    pending: VecDeque<Sent>,
    /// How often each step was really done, and really undone, in this order.
    done: Vec<&'static str>,
    undone: Vec<&'static str>,
    /// Steps that were asked for, or to be undone, and are not answered.
    asked: BTreeSet<(&'static str, bool)>,
    /// What a person settled.
    by_hand: BTreeSet<(&'static str, bool)>,
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn name(of: &str) -> &'static str {
    NAMES.into_iter().find(|name| *name == of).unwrap()
}

fn waits(step: &str, undoes: bool) -> bool {
    if undoes { step == "b" } else { ["b", "d", "f"].contains(&step) }
}

impl World {
    fn new(skips: &[String]) -> Self {
        let mut world = Self {
            instance: Instance::new("1"),
            now: Timestamp::from_micros(0),
            events: 0,
            pending: VecDeque::new(),
            done: Vec::new(),
            undone: Vec::new(),
            asked: BTreeSet::new(),
            by_hand: BTreeSet::new(),
        };
        world.tell(TaskEvent::Begun { skips: skips.to_vec() });
        world
    }

    fn took(&mut self, sent: Result<Vec<Sent>, String>) {
        self.pending.extend(sent.unwrap());
        self.instance.round_trip().unwrap();
        let process = self.instance.state();
        let active = process.steps().filter(|(_, state)| matches!(state, Executing(_) | Compensating(_))).count();
        assert_eq!(active, usize::from(!self.instance.is_completed()), "one step at a time: {process:?}");
    }

    fn tell(&mut self, event: TaskEvent) {
        if self.instance.is_completed() || self.instance.quarantine().is_some() {
            return;
        }
        self.events += 1;
        let id = EventId::new(Uuid::from_u128(u128::from(self.events)));
        let stream = StreamId::new("task-1").unwrap();
        let position = Position::new(self.events);
        let new = event.write().unwrap().with_id(id);
        let record = RecordedEvent::record(&stream, &new, position, Version::new(self.events), self.now);
        let cursor = Cursor { store: StoreId::new(Uuid::from_u128(1)), epoch: Epoch::FIRST, position };
        let sent = self.instance.take_event(Recorded { event, record, cursor }, self.now);
        self.took(sent);
    }

    /// The step that is under way, and whether it is being undone.
    fn active(&self) -> Option<(&'static str, bool)> {
        let process = self.instance.state();
        let active = process.steps().find(|(_, state)| matches!(state, Executing(_) | Compensating(_)));
        active.map(|(step, state)| (name(step), matches!(state, Compensating(_))))
    }

    fn settle(&mut self, accepts: bool, by_hand: bool) {
        if !by_hand && self.instance.quarantine().is_some() {
            return;
        }
        let Some(sent) = self.pending.pop_front() else { return };
        let (step, undoes, effect) = (name(sent.target()), sent.is::<Undo>(), sent.id());
        if by_hand {
            self.by_hand.insert((step, undoes));
        } else if accepts && waits(step, undoes) {
            self.asked.insert((step, undoes));
        } else if accepts && undoes {
            self.undone.push(step);
        } else if accepts {
            self.done.push(step);
        }
        let sent = match (accepts, by_hand) {
            (true, by_hand) => self.instance.accept(effect, 1.into(), by_hand, self.now),
            (false, true) => self.instance.skip(effect, "by hand", self.now),
            (false, false) => self.instance.reject(effect, "no".to_owned(), Value::Null, self.now),
        };
        self.took(sent);
    }

    fn answer(&mut self, fails: bool) {
        if self.instance.quarantine().is_none()
            && let Some((step, undoes)) = self.active()
            && self.asked.remove(&(step, undoes))
        {
            if !fails {
                let list = if undoes { &mut self.undone } else { &mut self.done };
                list.push(step);
            }
            self.tell(answered(step, undoes, fails.then_some("busy")));
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = Timestamp::from_micros(self.now.as_micros() + i64::try_from(time.as_micros()).unwrap());
        while let Some((due, id)) = self.instance.first_timer().filter(|(due, _)| *due <= until) {
            self.now = self.now.max(due);
            let sent = self.instance.fire(id, self.now);
            self.took(sent);
        }
        self.now = until;
    }

    fn happen(&mut self, happens: Happens) {
        match happens {
            Happens::Accepts => self.settle(true, false),
            Happens::Rejects => self.settle(false, false),
            Happens::Answers { fails } => self.answer(fails),
            Happens::Stray(step) if self.active().is_none_or(|(active, _)| active != NAMES[step]) => {
                self.tell(done(NAMES[step]));
            }
            Happens::Stray(_) => {}
            Happens::Passes(time) => self.pass(time),
            Happens::Forces => self.settle(true, true),
            Happens::Skips => self.settle(false, true),
            Happens::Releases => drop(self.instance.release()),
        }
    }

    /// From now on everything succeeds.
    fn calm(&mut self) {
        for _ in 0..100 {
            if self.instance.is_completed() && self.pending.is_empty() {
                return;
            }
            for happens in [
                Happens::Releases,
                Happens::Accepts,
                Happens::Answers { fails: false },
                Happens::Passes(Duration::from_secs(1)),
            ] {
                self.happen(happens);
            }
        }
        panic!("it does not end: {:?}", self.instance.state());
    }

    fn check(&self, skips: &[String]) {
        let process = self.instance.state();
        let count = |list: &[&str], step: &str| list.iter().filter(|other| **other == step).count();
        let state = |step: &str| process.steps().find(|(name, _)| *name == step).map(|(_, state)| state);
        for step in NAMES.into_iter().filter(|step| skips.contains(&(*step).to_owned())) {
            assert_eq!(count(&self.done, step) + count(&self.undone, step), 0, "{step} is left out");
        }
        let wanted = NAMES.into_iter().filter(|step| !skips.contains(&(*step).to_owned()));
        if process.turned_back().is_none() {
            assert!(self.undone.is_empty(), "what is done stays done: {:?}", self.undone);
            for step in wanted {
                let settled = self.by_hand.contains(&(step, false));
                assert!(settled || count(&self.done, step) == 1, "{step} is done once: {:?}", self.done);
            }
            return;
        }
        assert!(!matches!(state("d"), Some(Done)), "there is no way back from the pivot");
        assert_eq!((state("e"), state("f")), (None, None), "nothing behind the pivot was begun");
        for step in ["a", "b"] {
            let undone = count(&self.undone, step);
            assert!(undone <= 1, "{step} is undone once: {:?}", self.undone);
            let may_have = self.done.contains(&step) || self.asked.contains(&(step, false));
            let happened = may_have && !self.by_hand.contains(&(step, true));
            assert!(
                !happened || undone == 1,
                "{step} has happened, or may have, and is undone: {:?}",
                process.steps().collect::<Vec<_>>()
            );
        }
        let places = ["b", "a"].map(|step| self.undone.iter().position(|other| *other == step));
        assert!(!matches!(places, [Some(b), Some(a)] if a < b), "the last is undone first: {:?}", self.undone);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn the_end_is_all_done_or_all_undone(
        skips in prop::collection::vec(prop::sample::select(&NAMES[..]).prop_map(str::to_owned), 0..3),
        happens in prop::collection::vec(happens(), 0..60),
    ) {
        let mut world = World::new(&skips);
        for happens in happens {
            world.happen(happens);
        }
        world.calm();
        world.check(&skips);
    }
}
