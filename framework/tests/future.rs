//! An event of a version that this program does not know yet: every reader says so, and none passes over it.

use std::{error::Error, time::Duration};

use annalist::{
    Aggregate, App, Append, Command, Context, Decide, Decision, Event, EventId, EventType, Expected, NewEvent,
    Recorded, State, Store, StreamId, emit,
    outbox::{IntegrationEvent, MemoryPublisher, Outbox, RelayState},
    projection::{ApplyError, Embedded, Projection, ProjectionState, Tx},
};
use serde::{Deserialize, Serialize};

#[derive(Event, Clone, Debug)]
#[event(category = "counter")]
enum Counted {
    #[event(name = "counted", version = 2)]
    By { steps: u64 },
}

#[derive(Default)]
struct Counter;

impl State for Counter {
    type Event = Counted;
    fn evolve(&mut self, _: &Counted) {}
}

impl Aggregate for Counter {
    type Id = String;
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "count")]
struct Count;

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("never")]
struct Never;

impl Decide<Count> for Counter {
    type Rejection = Never;
    type Reply = ();
    fn decide(&self, _: &Count, _: &Context) -> Result<Decision<Counted>, Never> {
        Ok(emit(Counted::By { steps: 1 }))
    }
}

struct Counts;

impl Projection for Counts {
    const NAME: &'static str = "counts";
    const VERSION: u32 = 1;
    type Event = Counted;
    type Model = Embedded;

    async fn apply(&self, _: &Recorded<Counted>, _: &mut Tx) -> Result<(), ApplyError> {
        Ok(())
    }
}

fn public(_: &Recorded<Counted>) -> Vec<IntegrationEvent> {
    vec![]
}

/// An error and what caused it, in one line.
fn chain(error: &dyn Error) -> String {
    error.source().map_or(error.to_string(), |cause| format!("{error}: {}", chain(cause)))
}

const SAID: &str = "`counted` was recorded in version 3, this program knows up to 2; upgrade the program";

#[tokio::test(start_paused = true)]
async fn every_reader_says_that_the_program_is_too_old() {
    let store = Store::memory();
    let stream = StreamId::new("counter-a").unwrap();
    let newer = NewEvent::new(EventId::generate(), EventType::versioned("counted", 3).unwrap(), "{}");
    store.events().append(Append::new().events(stream, Expected::Any, [newer])).await.unwrap();
    let outbox = Outbox::new(MemoryPublisher::new()).map_events(public);
    let app = App::open(store).projection(Counts).outbox(outbox).start().await.unwrap();

    let id = "a".to_owned();
    let loaded = chain(&app.load::<Counter>(&id).await.err().unwrap());
    assert!(loaded.contains("event 1 of stream `counter-a` cannot be read") && loaded.contains(SAID), "{loaded}");
    let executed = chain(&app.on::<Counter>(id).execute(Count).await.unwrap_err());
    assert!(executed.contains(SAID), "{executed}");

    let relay = app.relays().first().unwrap();
    let mut watch = relay.watch();
    let status = watch.wait_for(|status| status.stopped().is_some()).await.unwrap().clone();
    let RelayState::Stopped(why) = status.state else { unreachable!("it waited for that") };
    assert!(why.to_string().contains(SAID) && why.to_string().contains("position 1"), "{why}");

    let projection = loop {
        let status = app.projections().status().await.unwrap().remove(0);
        match status.state {
            ProjectionState::Failed { .. } => break status.to_string(),
            _ => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    assert!(projection.contains("failed at event 1") && projection.contains(SAID), "{projection}");
    app.shutdown().await.unwrap();
}
