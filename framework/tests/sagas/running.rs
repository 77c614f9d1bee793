//! What a running saga does, and what people do with one.

use std::{sync::Arc, time::Duration};

use annalist::{
    Aggregate, App, Append, Command, CommandSet, Context, Decide, Decision, Event, EventId, EventStore, EventType,
    Expected, NewEvent, Recorded, StartError, State, StreamId, emit,
    projection::MemoryKeyValue,
    saga::{
        self, Audit, Begin, Effects, Input, InstanceState, InstanceStatus, Route, Saga, SagaError, SagaOptions,
        SagaState,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    cut::CutStore,
    support::{World, inputs, until},
};

/// A pot into which anyone throws numbers; some of them are poison.
#[derive(Event, Clone, Debug, PartialEq)]
#[event(category = "pot")]
enum PotEvent {
    #[event(name = "pot-filled")]
    Filled { pot: String, number: i64 },
    #[event(name = "pot-emptied")]
    Emptied { number: i64 },
}

#[derive(Default)]
struct Pot(i64);

impl State for Pot {
    type Event = PotEvent;
    fn evolve(&mut self, event: &PotEvent) {
        match event {
            PotEvent::Filled { number, .. } => self.0 += number,
            PotEvent::Emptied { number } => self.0 -= number,
        }
    }
}

impl Aggregate for Pot {
    type Id = String;
}

#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[error("not {0}")]
struct No(i64);

#[derive(Command, Serialize, Deserialize)]
#[command(name = "fill-pot")]
struct Fill {
    pot: String,
    number: i64,
}

impl Decide<Fill> for Pot {
    type Rejection = No;
    type Reply = ();
    fn decide(&self, Fill { pot, number }: &Fill, _: &Context) -> Result<Decision<PotEvent>, No> {
        Ok(emit(PotEvent::Filled { pot: pot.clone(), number: *number }))
    }
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "empty-pot")]
struct Empty {
    number: i64,
}

impl Decide<Empty> for Pot {
    type Rejection = No;
    type Reply = i64;
    fn decide(&self, Empty { number }: &Empty, _: &Context) -> Result<Decision<PotEvent, i64>, No> {
        annalist::ensure!(number % 2 == 0, No(*number));
        Ok(emit(PotEvent::Emptied { number: *number }).reply(*number))
    }
}

/// Not said in `commands`, at first.
#[derive(Command, Serialize, Deserialize)]
#[command(name = "break-pot")]
struct Break {
    number: i64,
}

impl Decide<Break> for Pot {
    type Rejection = No;
    type Reply = i64;
    fn decide(&self, Break { number }: &Break, _: &Context) -> Result<Decision<PotEvent, i64>, No> {
        Ok(emit(PotEvent::Emptied { number: *number }).reply(*number))
    }
}

/// Remembers what it sees. `HEALED` is the program after someone mended it; `V` is its version.
#[derive(Default, Serialize, Deserialize)]
struct Watch<const HEALED: bool, const V: u32> {
    seen: Vec<String>,
}

#[derive(Serialize, Deserialize)]
enum Ring {
    Soon,
    Late,
}

const POISON: i64 = 13;
const UNKNOWN: i64 = 17;
const LAST: i64 = 99;
const RING: i64 = 50;
const SILENCE: i64 = 51;

impl<const HEALED: bool, const V: u32> Saga for Watch<HEALED, V> {
    const NAME: &'static str = "watch";
    const VERSION: u32 = V;
    type Event = PotEvent;
    type Timer = Ring;

    fn commands(commands: &mut CommandSet) {
        commands.add::<Pot, Empty>();
        if HEALED {
            commands.add::<Pot, Break>();
        }
    }

    fn route(event: &Recorded<PotEvent>) -> Route {
        match &event.event {
            PotEvent::Filled { pot, .. } if pot.starts_with("nobody") => Route::Ignore,
            PotEvent::Filled { pot, number } if *number < 0 => Route::Continue(pot.clone()),
            PotEvent::Filled { pot, .. } => Route::Start(pot.clone()),
            PotEvent::Emptied { .. } => Route::Ignore,
        }
    }

    fn evolve(&mut self, input: &Input<Self>) {
        self.seen.push(match input {
            Input::Event(recorded) => match &recorded.event {
                PotEvent::Filled { number: POISON, .. } if !HEALED => panic!("poison"),
                PotEvent::Filled { number, .. } | PotEvent::Emptied { number } => number.to_string(),
            },
            Input::Timer(Ring::Soon) => "soon".to_owned(),
            Input::Timer(Ring::Late) => "late".to_owned(),
            Input::Accepted { reply, .. } => format!("accepted {reply}"),
            Input::Rejected { command, rejection } => match rejection.read::<No>() {
                Some(No(number)) => format!("{} rejected: no {number}", command.name()),
                None => rejection.message().to_owned(),
            },
        });
    }

    fn react(&self, input: &Input<Self>, effects: &mut Effects<Self>) {
        let Input::Event(Recorded { event: PotEvent::Filled { pot, number }, .. }) = input else { return };
        match *number {
            UNKNOWN => drop(effects.send::<Pot, _>(pot, Break { number: UNKNOWN })),
            RING => drop(effects.set(Ring::Soon, Duration::from_mins(1)).set(Ring::Late, Duration::from_hours(1))),
            SILENCE => drop(effects.cancel(Ring::Late)),
            LAST => drop(effects.send::<Pot, _>(pot, Empty { number: 2 }).complete()),
            number => drop(effects.send::<Pot, _>(pot, Empty { number })),
        }
    }

    fn migrate(version: u32, state: Value) -> Option<Self> {
        (version == 1 && V == 2).then(|| serde_json::from_value(state).unwrap())
    }
}

type Ill = Watch<false, 1>;
type Healed = Watch<true, 1>;

async fn fill(app: &App, pot: &str, number: i64) {
    app.on::<Pot>(pot.to_owned()).execute(Fill { pot: pot.to_owned(), number }).await.unwrap();
}

async fn instance(app: &App, key: &str) -> InstanceStatus {
    app.sagas().named("watch").unwrap().instance(key).await.unwrap().unwrap()
}

fn seen(instance: &InstanceStatus) -> Vec<&str> {
    instance.data["seen"].as_array().unwrap().iter().map(|seen| seen.as_str().unwrap()).collect()
}

async fn idle(app: &App) {
    app.sagas().named("watch").unwrap().idle().await.unwrap();
}

fn ada() -> Audit {
    Audit::new("ada", "I have looked at it")
}

#[tokio::test(start_paused = true)]
async fn what_became_of_a_command_comes_back_with_its_reply_or_its_rejection() {
    let world = World::new();
    let app = world.app().saga::<Ill>().start().await.unwrap();
    fill(&app, "a", 2).await;
    idle(&app).await;
    fill(&app, "a", 3).await;
    idle(&app).await;
    assert_eq!(seen(&instance(&app, "a").await), ["2", "accepted 2", "3", "empty-pot rejected: no 3"]);
    let status = app.saga::<Ill>().unwrap().status().await.unwrap();
    assert_eq!((status.running, status.pending, status.timers, status.lag), (1, 0, 0, 0));
    let log = world.log().await;
    let emptied = log.iter().find(|event| event.type_name() == "pot-emptied").unwrap().metadata();
    let filled = log.iter().find(|event| event.type_name() == "pot-filled").unwrap();
    let taken = log.iter().find(|event| event.type_name() == "saga-input-taken").unwrap();
    assert_eq!(emptied.correlation_id, filled.metadata().correlation_id);
    assert_eq!(emptied.causation_id, Some(taken.id.to_string()));
    assert_eq!(taken.metadata().causation_id, Some(filled.id.to_string()));
}

#[tokio::test(start_paused = true)]
async fn a_poisoned_instance_is_quarantined_alone_and_goes_on_in_order() {
    let world = World::new();
    let app = world.app().saga::<Ill>().start().await.unwrap();
    for (pot, number) in [("a", 2), ("b", 4), ("a", POISON), ("a", 6), ("b", 8), ("a", 10)] {
        fill(&app, pot, number).await;
        idle(&app).await;
    }
    let a = instance(&app, "a").await;
    assert_eq!((a.state, a.held, seen(&a)), (InstanceState::Quarantined, 3, vec!["2", "accepted 2"]));
    assert_eq!(a.quarantine.as_ref().unwrap().0, "it panicked: poison");
    assert_eq!(seen(&instance(&app, "b").await), ["4", "accepted 4", "8", "accepted 8"]);
    let watch = app.saga::<Ill>().unwrap();
    assert_eq!(watch.status().await.unwrap().quarantined, 1);
    assert_eq!(watch.quarantined(10).await.unwrap(), [a]);

    // Released too early, it comes back with everything that it holds.
    watch.release("a", ada()).await.unwrap();
    idle(&app).await;
    let a = instance(&app, "a").await;
    assert_eq!((a.state, a.held), (InstanceState::Quarantined, 3));
    let not = watch.release("b", ada()).await.unwrap_err();
    assert_eq!(not, SagaError::NotQuarantined { saga: "watch", key: "b".to_owned() });
    app.shutdown().await.unwrap();

    // The program is mended, and someone lets it go on.
    let app = world.app().saga::<Healed>().start().await.unwrap();
    fill(&app, "a", 12).await;
    idle(&app).await;
    assert_eq!(instance(&app, "a").await.held, 4);
    app.saga::<Healed>().unwrap().release("a", ada()).await.unwrap();
    idle(&app).await;
    let a = instance(&app, "a").await;
    let outcomes = ["empty-pot rejected: no 13", "accepted 6", "accepted 10", "accepted 12"];
    assert_eq!(
        (a.state, a.held, &seen(&a)[..6]),
        (InstanceState::Running, 0, &["2", "accepted 2", "13", "6", "10", "12"][..])
    );
    assert_eq!(seen(&a)[6..], outcomes);
    for (input, times) in inputs(&world.log().await) {
        assert_eq!(times, 1, "{input}");
    }
    let log = world.log().await;
    let released: Vec<_> = log.iter().filter(|record| record.type_name() == "saga-released").collect();
    assert_eq!(released.len(), 2);
    assert_eq!(released[1].metadata().actor.as_deref(), Some("ada"));
    assert!(String::from_utf8_lossy(released[1].payload()).contains("I have looked at it"));
}

#[tokio::test(start_paused = true)]
async fn an_instance_whose_first_input_is_poison_is_kept_too() {
    let world = World::new();
    let app = world.app().saga::<Ill>().start().await.unwrap();
    fill(&app, "a", POISON).await;
    idle(&app).await;
    let a = instance(&app, "a").await;
    assert_eq!((a.state, a.held, a.data), (InstanceState::Quarantined, 1, Value::Null));
    app.shutdown().await.unwrap();
    let app = world.app().saga::<Healed>().start().await.unwrap();
    app.saga::<Healed>().unwrap().release("a", ada()).await.unwrap();
    idle(&app).await;
    assert_eq!(seen(&instance(&app, "a").await), ["13", "empty-pot rejected: no 13"]);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_nobody_registered_quarantines_and_says_which_line_to_add() {
    let world = World::new();
    let app = world.app().saga::<Ill>().start().await.unwrap();
    fill(&app, "a", UNKNOWN).await;
    idle(&app).await;
    let a = instance(&app, "a").await;
    let reason = a.quarantine.as_ref().unwrap().0.clone();
    assert!(reason.contains("`break-pot` to the category `pot` is not registered"), "{reason}");
    assert!(reason.contains(".add::<Aggregate, Command>()"), "{reason}");
    assert_eq!((a.pending.len(), a.pending[0].name()), (1, "break-pot"));
    app.shutdown().await.unwrap();

    let app = world.app().saga::<Healed>().start().await.unwrap();
    app.saga::<Healed>().unwrap().release("a", ada()).await.unwrap();
    idle(&app).await;
    assert_eq!(seen(&instance(&app, "a").await), ["17", "accepted 17"]);
}

#[tokio::test(start_paused = true)]
async fn a_person_skips_or_forces_a_command() {
    let world = World::new();
    let app = world.app().saga::<Ill>().start().await.unwrap();
    let watch = app.saga::<Ill>().unwrap();
    for (pot, forced) in [("a", false), ("b", true)] {
        fill(&app, pot, UNKNOWN).await;
        idle(&app).await;
        let effect = instance(&app, pot).await.pending[0].id();
        let settled = if forced {
            watch.force(pot, effect, json!(18), ada()).await
        } else {
            watch.skip(pot, effect, ada()).await
        };
        settled.unwrap();
        let again = watch.skip(pot, effect, Audit::new("bob", "so have I")).await.unwrap_err();
        assert_eq!(again, SagaError::NotPending { saga: "watch", key: pot.to_owned(), effect });
        idle(&app).await;
        let not = watch.release(pot, Audit::new("bob", "so have I")).await.unwrap_err();
        assert_eq!(
            not,
            SagaError::NotQuarantined { saga: "watch", key: pot.to_owned() },
            "what was in the way is settled"
        );
    }
    assert_eq!(seen(&instance(&app, "a").await), ["17", "skipped by ada: I have looked at it"]);
    assert_eq!(seen(&instance(&app, "b").await), ["17", "accepted 18"]);
}

#[tokio::test(start_paused = true)]
async fn timers_fire_once_also_those_that_fell_due_while_the_service_was_down() {
    let world = World::new();
    let app = world.app().saga::<Ill>().start().await.unwrap();
    fill(&app, "a", RING).await;
    fill(&app, "b", RING).await;
    idle(&app).await;
    assert_eq!(app.saga::<Ill>().unwrap().status().await.unwrap().timers, 4);
    sleep(Duration::from_secs(59)).await;
    idle(&app).await;
    assert_eq!(seen(&instance(&app, "a").await), ["50"]);
    sleep(Duration::from_secs(2)).await;
    idle(&app).await;
    assert_eq!(seen(&instance(&app, "a").await), ["50", "soon"]);
    fill(&app, "b", SILENCE).await;
    idle(&app).await;
    app.shutdown().await.unwrap();

    sleep(Duration::from_hours(2)).await;
    let app = world.app().saga::<Ill>().start().await.unwrap();
    until::<Ill>(&app, "a", InstanceState::Running).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(seen(&instance(&app, "a").await), ["50", "soon", "late"]);
    assert_eq!(seen(&instance(&app, "b").await), ["50", "soon", "51"], "its late timer was cancelled");
    sleep(Duration::from_hours(2)).await;
    assert_eq!(seen(&instance(&app, "a").await).len(), 3);
    assert_eq!(app.saga::<Ill>().unwrap().status().await.unwrap().timers, 0);
}

#[tokio::test(start_paused = true)]
async fn timers_of_an_instance_in_quarantine_wait_until_it_goes_on() {
    let world = World::new();
    let app = world.app().saga::<Ill>().start().await.unwrap();
    fill(&app, "a", RING).await;
    fill(&app, "a", POISON).await;
    idle(&app).await;
    sleep(Duration::from_secs(100)).await;
    assert_eq!(seen(&instance(&app, "a").await), ["50"]);
    app.shutdown().await.unwrap();
    let app = world.app().saga::<Healed>().start().await.unwrap();
    app.saga::<Healed>().unwrap().release("a", ada()).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    idle(&app).await;
    let a = instance(&app, "a").await;
    assert_eq!(seen(&a)[..2], ["50", "13"]);
    assert_eq!(seen(&a).iter().filter(|seen| **seen == "soon").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_completed_instance_takes_nothing_in_but_its_commands_are_executed() {
    let world = World::new();
    let app = world.app().saga::<Ill>().start().await.unwrap();
    fill(&app, "a", RING).await;
    fill(&app, "a", LAST).await;
    idle(&app).await;
    fill(&app, "a", 2).await;
    fill(&app, "a", -2).await;
    fill(&app, "none", -2).await;
    idle(&app).await;
    let a = instance(&app, "a").await;
    assert_eq!(
        (a.state, seen(&a), a.pending.len(), a.timers.len()),
        (InstanceState::Completed, vec!["50", "99"], 0, 0)
    );
    assert_eq!(app.load::<Pot>(&"a".to_owned()).await.unwrap().state.0, RING + LAST - 2);
    let status = app.saga::<Ill>().unwrap().status().await.unwrap();
    assert_eq!((status.completed, status.passed), (1, 3));
    assert!(app.saga::<Ill>().unwrap().instance("none").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn history_is_done_only_when_it_is_asked_for() {
    let world = World::new();
    let app = world.app().start().await.unwrap();
    fill(&app, "a", 2).await;
    drop(app);
    let app = world.app().saga::<Ill>().start().await.unwrap();
    fill(&app, "b", 2).await;
    idle(&app).await;
    let keys = |instances: Vec<InstanceStatus>| instances.into_iter().map(|one| one.key).collect::<Vec<_>>();
    assert_eq!(keys(app.saga::<Ill>().unwrap().instances(None, 10).await.unwrap()), ["b"]);
    drop(app);

    // What was said at the first start holds: now is still then.
    let options = SagaOptions::default().begin(Begin::History);
    let app = world.app().saga_with::<Ill>(options.clone()).start().await.unwrap();
    idle(&app).await;
    assert!(app.saga::<Ill>().unwrap().instance("a").await.unwrap().is_none());

    let world = World::new();
    let app = world.app().start().await.unwrap();
    for pot in ["a", "b", "c"] {
        fill(&app, pot, 2).await;
    }
    drop(app);
    let app = world.app().saga_with::<Ill>(options).start().await.unwrap();
    idle(&app).await;
    let watch = app.saga::<Ill>().unwrap();
    assert_eq!(keys(watch.instances(None, 2).await.unwrap()), ["a", "b"]);
    assert_eq!(keys(watch.instances(Some("b"), 2).await.unwrap()), ["c"]);
}

#[tokio::test(start_paused = true)]
async fn instances_of_another_version_are_migrated_or_the_app_does_not_start() {
    let world = World::new();
    let app = world.app().saga::<Ill>().start().await.unwrap();
    fill(&app, "a", RING).await;
    fill(&app, "b", RING).await;
    fill(&app, "done", LAST).await;
    idle(&app).await;
    drop(app);

    let refused = world.app().saga::<Watch<true, 3>>().start().await.unwrap_err();
    let StartError::Sagas(saga::StartError::Version { count, example, recorded, version, .. }) = &refused else {
        panic!("{refused:?}")
    };
    assert_eq!((*count, example.as_str(), *recorded, *version), (2, "a", 1, 3));
    assert!(refused.to_string().contains("write `migrate` for them"), "{refused}");

    let app = world.app().saga::<Watch<true, 2>>().start().await.unwrap();
    fill(&app, "a", 2).await;
    idle(&app).await;
    let a = instance(&app, "a").await;
    assert_eq!((a.saga_version, seen(&a)), (2, vec!["50", "2", "accepted 2"]));
}

#[tokio::test(start_paused = true)]
async fn two_sagas_of_one_name_do_not_start() {
    let twice = World::new().app().saga::<Ill>().saga::<Healed>().start().await.unwrap_err();
    assert!(matches!(twice, StartError::Sagas(saga::StartError::Twice { name: "watch" })), "{twice}");
}

#[tokio::test(start_paused = true)]
async fn many_inputs_for_one_instance_at_once_are_all_taken_in_once() {
    let world = World::new();
    let app = world.app().saga::<Ill>().start().await.unwrap();
    // Events come while outcomes of commands do: both write the instance's stream.
    for number in 1..=40 {
        fill(&app, "a", number * 2 + 100).await;
    }
    idle(&app).await;
    let a = instance(&app, "a").await;
    let seen = seen(&a);
    let events: Vec<_> = seen.iter().filter(|seen| !seen.starts_with("accepted")).collect();
    let expected: Vec<_> = (1..=40).map(|number| (number * 2 + 100).to_string()).collect();
    assert_eq!(events, expected.iter().collect::<Vec<_>>());
    assert_eq!(seen.len(), 80);
    assert_eq!(app.load::<Pot>(&"a".to_owned()).await.unwrap().state.0, 0);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_read_stops_the_intake_and_is_named_until_a_person_has_it_left_out() {
    let world = World::new();
    let app = world.app().saga::<Ill>().start().await.unwrap();
    fill(&app, "a", RING).await;
    let damaged = NewEvent::new(EventId::generate(), EventType::new("pot-filled").unwrap(), "{}");
    let pot = StreamId::new("pot-b").unwrap();
    world.memory.append(Append::new().events(pot, Expected::Any, [damaged])).await.unwrap();
    fill(&app, "c", 2).await;
    let watch = app.saga::<Ill>().unwrap();
    let stopped = watch.idle().await.unwrap_err();
    assert!(matches!(&stopped, SagaError::Stopped { why, .. } if why.contains("at position ")), "{stopped}");
    assert!(watch.instance("c").await.unwrap().is_none(), "no event is left out");
    let SagaState::Blocked(blocked) = watch.status().await.unwrap().state else { panic!("it is held up") };
    assert_eq!((blocked.name.as_str(), blocked.stream.as_str()), ("pot-filled", "pot-b"));
    assert!(blocked.error.contains("missing field"), "{blocked}");
    // What is under way goes on.
    sleep(Duration::from_secs(100)).await;
    assert_eq!(seen(&instance(&app, "a").await), ["50", "soon"]);

    let not = watch.skip_event(blocked.position.next(), ada()).await.unwrap_err();
    assert_eq!(not, SagaError::NotBlocked { saga: "watch", position: blocked.position.next() });
    watch.skip_event(blocked.position, ada()).await.unwrap();
    idle(&app).await;
    assert_eq!(seen(&instance(&app, "c").await), ["2", "accepted 2"]);
    assert!(matches!(watch.status().await.unwrap().state, SagaState::Live));
    let log = world.log().await;
    let skipped: Vec<_> = log.iter().filter(|event| event.type_name() == "saga-event-skipped").collect();
    let [skipped] = skipped[..] else { panic!("it is recorded once: {skipped:?}") };
    assert_eq!((skipped.stream(), skipped.metadata().actor.as_deref()), ("saga.-watch", Some("ada")));
    assert!(String::from_utf8_lossy(skipped.payload()).contains("I have looked at it"));
    drop(app);

    // A process that comes to the event again, since it lost its notes, knows that it is left out.
    let memory = Arc::new(MemoryKeyValue::new());
    let (lost, history) =
        (CutStore::new(world.memory.clone(), u64::MAX).forgetful(), SagaOptions::default().begin(Begin::History));
    let app =
        App::open(lost.store(memory)).with_env(world.env.clone()).saga_with::<Ill>(history).start().await.unwrap();
    idle(&app).await;
    assert_eq!(seen(&instance(&app, "c").await), ["2", "accepted 2"]);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_an_instance_is_waited_for() {
    let world = World::new();
    let app = world.app().saga::<Ill>().start().await.unwrap();
    let watch = app.saga::<Ill>().unwrap();
    let soon = Duration::from_secs(1);
    let none = watch.ended("a", soon).await.unwrap_err();
    assert_eq!(none, SagaError::UnderWay { saga: "watch", key: "a".to_owned(), waited: soon });
    let waiting = async { watch.ended("a", Duration::from_hours(1)).await.unwrap() };
    let (ended, also, ()) = tokio::join!(waiting, watch.ended("a", Duration::MAX), async {
        fill(&app, "a", 2).await;
        fill(&app, "a", LAST).await;
    });
    assert_eq!((ended.state, ended.pending.len()), (InstanceState::Completed, 0));
    assert_eq!(ended, also.unwrap());
    assert_eq!(watch.ended("a", Duration::ZERO).await.unwrap(), ended, "nobody waits for what has ended");

    let (ended, ()) = tokio::join!(watch.ended("b", Duration::MAX), fill(&app, "b", POISON));
    assert_eq!(ended.unwrap().state, InstanceState::Quarantined);
    let (stopped, down) = tokio::join!(watch.ended("c", Duration::MAX), app.shutdown());
    down.unwrap();
    assert!(matches!(stopped, Err(SagaError::Store { .. })), "{stopped:?}");
}

/// A name that cannot be part of a category.
#[derive(Default, Serialize, Deserialize)]
struct Misnamed;

impl Saga for Misnamed {
    const NAME: &'static str = "mis-named";
    const VERSION: u32 = 1;
    type Event = PotEvent;
    type Timer = ();
    fn commands(_: &mut CommandSet) {}
    fn route(_: &Recorded<PotEvent>) -> Route {
        Route::Ignore
    }
    fn evolve(&mut self, _: &Input<Self>) {}
    fn react(&self, _: &Input<Self>, _: &mut Effects<Self>) {}
}

/// Of the same name as another command to pots.
#[derive(Command, Serialize, Deserialize)]
#[command(name = "empty-pot")]
struct Other;

impl Decide<Other> for Pot {
    type Rejection = No;
    type Reply = ();
    fn decide(&self, _: &Other, _: &Context) -> Result<Decision<PotEvent>, No> {
        Err(No(0))
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_name_and_a_command_of_two_kinds_are_refused() {
    let misnamed = World::new().app().saga::<Misnamed>().start().await.unwrap_err();
    assert!(matches!(misnamed, StartError::Sagas(saga::StartError::Name { name: "mis-named" })), "{misnamed}");

    let app = World::new().app().saga::<Ill>();
    let twice = app.command::<Pot, Empty>().command::<Pot, Other>().start().await.unwrap_err();
    assert!(matches!(twice, StartError::CommandTwice { category: "pot", command: "empty-pot" }), "{twice}");
}
