//! Workflows: sagas that are steps, one after the other, each of which can be undone.
//!
//! A [`Workflow`] says its steps: which command each executes, and which undoes it. When a step fails, those before it are
//! undone, the last first. So the end is one of three: everything is done; everything is undone; or a person must look at
//! it, which is listed, recorded with who and why, and goes on from there. A workflow is a [saga](crate::saga): it goes on
//! after a crash where it was, and each of its commands is recorded once.
//!
//! ```
//! use annalist::{App, Recorded, Store, workflow::{Retry, Steps, Workflow, WorkflowState}};
//! use std::time::Duration;
//! # use annalist::{Aggregate, Command, Context, Decide, Decision, Event, State, emit, ensure};
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Event, Clone, Debug)]
//! # #[event(category = "trip")]
//! # enum TripEvent { #[event(name = "trip-asked-for")] AskedFor { id: String, beds: u32 } }
//! # #[derive(Default)]
//! # struct Trip;
//! # impl State for Trip { type Event = TripEvent; fn evolve(&mut self, _: &TripEvent) {} }
//! # impl Aggregate for Trip { type Id = String; }
//! # #[derive(Event, Clone, Debug)]
//! # #[event(category = "hotel")]
//! # enum HotelEvent { #[event(name = "beds-booked")] Booked { beds: u32 }, #[event(name = "beds-freed")] Freed { beds: u32 } }
//! # #[derive(Default)]
//! # struct Hotel { booked: u32 }
//! # impl State for Hotel {
//! #     type Event = HotelEvent;
//! #     fn evolve(&mut self, event: &HotelEvent) {
//! #         match event { HotelEvent::Booked { beds } => self.booked += beds, HotelEvent::Freed { beds } => self.booked -= beds }
//! #     }
//! # }
//! # impl Aggregate for Hotel { type Id = String; }
//! # #[derive(Debug, thiserror::Error, Serialize, Deserialize)]
//! # #[error("full")]
//! # struct Full;
//! # #[derive(Command, Serialize, Deserialize)]
//! # #[command(name = "ask-for-trip")]
//! # struct Ask { id: String, beds: u32 }
//! # impl Decide<Ask> for Trip {
//! #     type Rejection = Full;
//! #     type Reply = ();
//! #     fn decide(&self, ask: &Ask, _: &Context) -> Result<Decision<TripEvent>, Full> {
//! #         Ok(emit(TripEvent::AskedFor { id: ask.id.clone(), beds: ask.beds }))
//! #     }
//! # }
//! # #[derive(Command, Serialize, Deserialize)]
//! # #[command(name = "book")]
//! # struct Book { beds: u32 }
//! # impl Decide<Book> for Hotel {
//! #     type Rejection = Full;
//! #     type Reply = u32;
//! #     fn decide(&self, book: &Book, _: &Context) -> Result<Decision<HotelEvent, u32>, Full> {
//! #         ensure!(self.booked + book.beds <= 10, Full);
//! #         Ok(emit(HotelEvent::Booked { beds: book.beds }).reply(self.booked))
//! #     }
//! # }
//! # #[derive(Command, Serialize, Deserialize)]
//! # #[command(name = "free")]
//! # struct Free { beds: u32 }
//! # impl Decide<Free> for Hotel {
//! #     type Rejection = Full;
//! #     type Reply = ();
//! #     fn decide(&self, free: &Free, _: &Context) -> Result<Decision<HotelEvent>, Full> {
//! #         Ok(emit(HotelEvent::Freed { beds: free.beds }))
//! #     }
//! # }
//! /// What the steps know.
//! #[derive(Serialize, Deserialize)]
//! struct Booking { beds: u32, first: Option<u32> }
//!
//! impl Workflow for Booking {
//!     const NAME: &'static str = "booking";
//!     const VERSION: u32 = 1;
//!     type Event = TripEvent;
//!
//!     fn start(event: &Recorded<TripEvent>) -> Option<(String, Self)> {
//!         let TripEvent::AskedFor { id, beds } = &event.event;
//!         Some((id.clone(), Self { beds: *beds, first: None }))
//!     }
//!
//!     fn steps(steps: &mut Steps<Self>) {
//!         steps.step("way there")
//!             .execute::<Hotel, Book>(|trip| Some(("inn".to_owned(), Book { beds: trip.beds })))
//!             .on_reply(|trip, first| trip.first = Some(first))
//!             .compensate::<Hotel, Free>(|trip| Some(("inn".to_owned(), Free { beds: trip.beds })));
//!         steps.step("way back")
//!             .execute::<Hotel, Book>(|trip| Some(("motel".to_owned(), Book { beds: 2 * trip.beds })))
//!             .retry(Retry::times(1))
//!             .timeout(Duration::from_mins(5))
//!             .pivot();
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let app = App::open(Store::memory()).workflow::<Booking>().start().await?;
//! app.on::<Trip>("t1".to_owned()).execute(Ask { id: "t1".to_owned(), beds: 6 }).await?;
//!
//! let ended = app.workflow::<Booking>()?.ended("t1", Duration::from_secs(10)).await?;
//! assert_eq!(ended.state, WorkflowState::Compensated);
//! assert_eq!(ended.turned_back.as_deref(), Some("`way back`: full"));
//! assert_eq!(app.load::<Hotel>(&"inn".to_owned()).await?.state.booked, 0);
//! app.shutdown().await?;
//! # Ok(()) }
//! ```
//!
//! # What happens when
//!
//! | | before the pivot, and at it | behind the pivot | a compensation |
//! |---|---|---|---|
//! | the command is rejected, or an event says that it failed | tried again as [`Step::retry`] says (by default not at all), then the workflow turns back; the step itself is not undone | tried again (by default for a quarter of an hour), then a person must look | the same |
//! | no answer within [`Step::timeout`] | the workflow turns back, and the step itself is undone too: it may have happened | tried again | tried again |
//! | `execute` or `compensate` returns `None` | the step is left out, and not undone | left out | nothing to undo |
//! | a person skips it | the workflow turns back | the next step follows | the step stays as it is, the one before is undone |
//! | a person forces it | it counts as done | it counts as done | it counts as undone |
//!
//! A pivot that cannot be undone and does not answer in time waits for a person: neither way is right while nobody knows.
//! While a command of this service has no outcome, because the store cannot be used, say, the workflow waits for that
//! outcome even when the step is overdue: it comes in any case, and then nothing is unknown. What remains unknown is what an
//! event answers, from another service; so such a step is compensated, and an answer that comes later changes nothing.
//!
//! # Identities
//!
//! A command that a step sends is sent again under the *same* identity while its outcome is not known, whatever crashes: it
//! is recorded once. A command that was *rejected* is tried again under a new one, since it is another decision. A service
//! behind a broker that is asked again sees another message: it must know from the content, the order's number for example,
//! that it has done that already.

mod model;
mod retry;

mod steps;

mod process;
mod trail;

mod machine;

mod handle;
mod shape;

#[cfg(test)]
mod tests;

pub use handle::{WorkflowHandle, WorkflowState, WorkflowStatus};
pub use model::{Answer, Workflow};
pub use process::{Alarm, Phase, Process, StepState};
pub use retry::Retry;
pub(crate) use shape::{StepShape, shape};
pub use steps::{Named, Step, Steps};
