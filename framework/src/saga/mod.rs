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

mod halt;
mod rows;
mod status;
mod streams;
mod woken;

mod taker;
mod taking;

mod dispatch;
mod intake;
mod timers;

mod operate;
mod running;

mod set;

pub use effects::Effects;
pub use model::{EffectId, Input, Rejection, Route, Saga, Sent};
pub use options::{Begin, SagaOptions};
pub use record::Audit;
pub use rows::InstanceState;
pub use running::{SagaError, SagaHandle, Sagas};
pub use set::StartError;
pub(crate) use set::{Ground, SagaSet};
pub use status::{InstanceStatus, SagaState, SagaStatus};
pub(crate) use trial::Instance;
