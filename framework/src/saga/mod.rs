//! Sagas: processes that outlive a command, and a crash.
//!
//! A [`Saga`] is the dual of an aggregate: events in, commands and timers out. Its state is folded from its inputs: events
//! that it follows, timers that are due, and what became of the commands that it sent. What is to be done about an input
//! is data, recorded in one append together with the input and the state, and then done; so after a crash each saga goes
//! on where it was, no command is forgotten, and none is recorded twice.
//!
//! ```text
//! log ── intake ──► taker ──► record in the instance's stream ──► rows (what is open)
//!                     ▲                    │                        │
//!      timers ────────┤                    ▼                        ▼
//!                     └── outcome ◄── dispatch ◄── woken ◄── at the start: what was open
//! ```
//!
//! ```
//! use annalist::{App, CommandSet, Recorded, Store, saga::{Effects, Input, Route, Saga}};
//! # use annalist::{Aggregate, Command, Context, Decide, Decision, Event, State, emit};
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Event, Clone, Debug)]
//! # #[event(category = "order")]
//! # enum OrderEvent { #[event(name = "order-placed")] Placed { id: String }, #[event(name = "order-cancelled")] Cancelled }
//! # #[derive(Default)]
//! # struct Order;
//! # impl State for Order { type Event = OrderEvent; fn evolve(&mut self, _: &OrderEvent) {} }
//! # impl Aggregate for Order { type Id = String; }
//! # #[derive(Debug, thiserror::Error, Serialize, Deserialize)]
//! # #[error("never")]
//! # struct Never;
//! # #[derive(Command, Serialize, Deserialize)]
//! # #[command(name = "place")]
//! # struct Place { id: String }
//! # impl Decide<Place> for Order {
//! #     type Rejection = Never;
//! #     type Reply = ();
//! #     fn decide(&self, place: &Place, _: &Context) -> Result<Decision<OrderEvent>, Never> {
//! #         Ok(emit(OrderEvent::Placed { id: place.id.clone() }))
//! #     }
//! # }
//! # #[derive(Command, Serialize, Deserialize)]
//! # #[command(name = "cancel")]
//! # struct Cancel;
//! # impl Decide<Cancel> for Order {
//! #     type Rejection = Never;
//! #     type Reply = ();
//! #     fn decide(&self, _: &Cancel, _: &Context) -> Result<Decision<OrderEvent>, Never> { Ok(emit(OrderEvent::Cancelled)) }
//! # }
//! /// Cancels an order that nobody has paid for within a day.
//! #[derive(Default, Serialize, Deserialize)]
//! struct Payment { order: String }
//!
//! impl Saga for Payment {
//!     const NAME: &'static str = "payment";
//!     const VERSION: u32 = 1;
//!     type Event = OrderEvent;
//!     type Timer = ();
//!
//!     fn commands(commands: &mut CommandSet) {
//!         commands.add::<Order, Cancel>();
//!     }
//!     fn route(event: &Recorded<OrderEvent>) -> Route {
//!         match &event.event {
//!             OrderEvent::Placed { id } => Route::Start(id.clone()),
//!             OrderEvent::Cancelled => Route::Ignore,
//!         }
//!     }
//!     fn evolve(&mut self, input: &Input<Self>) {
//!         if let Input::Event(Recorded { event: OrderEvent::Placed { id }, .. }) = input {
//!             self.order = id.clone();
//!         }
//!     }
//!     fn react(&self, input: &Input<Self>, effects: &mut Effects<Self>) {
//!         match input {
//!             Input::Event(_) => effects.set((), std::time::Duration::from_hours(24)),
//!             Input::Timer(()) => effects.send::<Order, _>(&self.order, Cancel).complete(),
//!             Input::Accepted { .. } | Input::Rejected { .. } => effects,
//!         };
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let app = App::open(Store::memory()).saga::<Payment>().start().await?;
//! app.on::<Order>("o1".to_owned()).execute(Place { id: "o1".to_owned() }).await?;
//! let payments = app.saga::<Payment>()?;
//! payments.idle().await?;
//! assert_eq!(payments.status().await?.timers, 1);
//! app.shutdown().await?;
//! # Ok(()) }
//! ```
//!
//! An instance that cannot go on (its code panics, its state cannot be read, a command cannot be executed) goes into
//! quarantine alone: its inputs are held, in order, until a person lets it go on; see [`SagaHandle`].

mod limits;
mod options;

mod effects;
mod model;
mod name;

mod record;
mod step;
mod trial;

mod awaited;
mod halt;
mod rows;
mod skipped;
mod status;
mod streams;
mod woken;

mod taker;
mod taking;

mod dispatch;
mod intake;
mod timers;

mod error;
mod operate;
mod running;

mod set;

#[cfg(test)]
mod tests;

pub use effects::Effects;
pub use error::SagaError;
#[doc(hidden)]
pub use model::Check;
pub(crate) use model::Outgoing;
pub use model::{EffectId, Input, Rejection, Route, Saga, Sent};
pub use options::{Begin, SagaOptions};
pub use record::Audit;
pub use rows::InstanceState;
pub use running::{SagaHandle, Sagas};
pub use set::StartError;
pub(crate) use set::{Ground, SagaSet};
pub use status::{BlockedBy, InstanceStatus, SagaState, SagaStatus};
pub(crate) use trial::Instance;
