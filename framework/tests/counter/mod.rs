//! Counters, a view of them, and what is published of them.

use annalist::{
    Aggregate, Command, Context, Decide, Decision, Event, Recorded, State, emit,
    outbox::{IntegrationEvent, MemoryPublisher, Outbox},
    projection::{ApplyError, Embedded, Projection, Table, Tx},
};
use serde::{Deserialize, Serialize};

#[derive(Event, Clone, Debug)]
#[event(category = "counter")]
pub(crate) enum Counted {
    #[event(name = "counted")]
    By { steps: u64 },
}

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Counter(pub(crate) u64);

impl State for Counter {
    type Event = Counted;
    fn evolve(&mut self, Counted::By { steps }: &Counted) {
        self.0 += steps;
    }
}

impl Aggregate for Counter {
    type Id = String;
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "count")]
pub(crate) struct Count(pub(crate) u64);

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("never")]
pub(crate) struct Never;

impl Decide<Count> for Counter {
    type Rejection = Never;
    type Reply = u64;
    fn decide(&self, &Count(steps): &Count, _: &Context) -> Result<Decision<Counted, u64>, Never> {
        Ok(emit(Counted::By { steps }).reply(self.0 + steps))
    }
}

pub(crate) struct Counts;

pub(crate) const COUNTS: Table<String, u64> = Table::new("counts");

impl Projection for Counts {
    const NAME: &'static str = "counts";
    const VERSION: u32 = 1;
    type Event = Counted;
    type Model = Embedded;

    async fn apply(&self, event: &Recorded<Counted>, tx: &mut Tx) -> Result<(), ApplyError> {
        let Counted::By { steps } = event.event;
        tx.update(&COUNTS, &event.record.stream_id().identifier().to_owned(), |count| *count += steps)?;
        Ok(())
    }
}

pub(crate) fn outbox(publisher: &MemoryPublisher) -> Outbox {
    Outbox::new(publisher.clone()).map_events(|event: &Recorded<Counted>| {
        vec![IntegrationEvent::json("counters.counted.v1", event.record.stream(), "{}").unwrap()]
    })
}
