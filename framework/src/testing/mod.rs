//! Given, when, then: tests of decisions, of sagas and of views, without a store and at a time that stands still.
//!
//! ```
//! use annalist::testing::given;
//! # use annalist::{Aggregate, Command, Context, Decide, Decision, Event, State, emit, ensure};
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Event, Clone, Debug, PartialEq)]
//! # #[event(category = "account")]
//! # enum AccountEvent {
//! #     #[event(name = "money-deposited")] Deposited { cents: u64 },
//! #     #[event(name = "money-withdrawn")] Withdrawn { cents: u64 },
//! # }
//! # use AccountEvent::{Deposited, Withdrawn};
//! # #[derive(Default)]
//! # struct Account { cents: u64 }
//! # impl State for Account {
//! #     type Event = AccountEvent;
//! #     fn evolve(&mut self, event: &AccountEvent) {
//! #         match event { Deposited { cents } => self.cents += cents, Withdrawn { cents } => self.cents -= cents }
//! #     }
//! # }
//! # #[derive(Command, Serialize, Deserialize)]
//! # #[command(name = "withdraw")]
//! # struct Withdraw { cents: u64 }
//! # #[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
//! # #[error("there are only {left} cents left")]
//! # struct InsufficientFunds { left: u64 }
//! # impl Decide<Withdraw> for Account {
//! #     type Rejection = InsufficientFunds;
//! #     type Reply = u64;
//! #     fn decide(&self, command: &Withdraw, _: &Context) -> Result<Decision<AccountEvent, u64>, InsufficientFunds> {
//! #         ensure!(self.cents >= command.cents, InsufficientFunds { left: self.cents });
//! #         Ok(emit(Withdrawn { cents: command.cents }).reply(self.cents - command.cents))
//! #     }
//! # }
//!
//! given::<Account>([Deposited { cents: 50 }])
//!     .when(Withdraw { cents: 20 })
//!     .then_emits([Withdrawn { cents: 20 }])
//!     .then_replies(30);
//!
//! given::<Account>([Deposited { cents: 50 }])
//!     .when(Withdraw { cents: 60 })
//!     .then_rejected(InsufficientFunds { left: 50 });
//! ```

mod difference;
mod given;
mod given_outbox;
mod given_saga;
mod given_workflow;
mod scope;
#[cfg(feature = "simulation")]
pub mod simulation;

#[cfg(test)]
mod tests;

pub use crate::projection::{GivenEvent, GivenView, given_log, given_view};
pub use given::{Given, Then, given};
pub use given_outbox::{GivenOutbox, given_outbox};
pub use given_saga::{ExpectedCommand, GivenSaga, given_saga, to};
pub use given_workflow::{GivenWorkflow, given_workflow};
pub use scope::{GivenScope, given_scope};
