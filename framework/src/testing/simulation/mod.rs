//! A whole app over a log in memory, run from one seed: calls interleave at random, the store fails now and then, and the
//! process dies, at any of its durable steps, and starts again. What must hold is checked at the end.
//!
//! Nothing that a crash leaves behind depends on anything but which durable steps were done: appends, notes of consumers,
//! rows of views. So dying right before and right after each of them is dying at every await point there is.
//!
//! ```
//! # use annalist::{App, Command, Context, Decide, Decision, Aggregate, Event, State, Store, emit};
//! use annalist::testing::simulation::simulate;
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Event, Clone, Debug, PartialEq)]
//! # #[event(category = "account")]
//! # enum AccountEvent { #[event(name = "money-deposited")] Deposited { cents: u64 } }
//! # #[derive(Default)]
//! # struct Account { cents: u64 }
//! # impl State for Account {
//! #     type Event = AccountEvent;
//! #     fn evolve(&mut self, AccountEvent::Deposited { cents }: &AccountEvent) { self.cents += cents }
//! # }
//! # impl Aggregate for Account { type Id = String; }
//! # #[derive(Command, Serialize, Deserialize)]
//! # #[command(name = "deposit")]
//! # struct Deposit { cents: u64 }
//! # #[derive(Debug, thiserror::Error, Serialize, Deserialize)]
//! # #[error("never")]
//! # struct Never;
//! # impl Decide<Deposit> for Account {
//! #     type Rejection = Never;
//! #     type Reply = ();
//! #     fn decide(&self, command: &Deposit, _: &Context) -> Result<Decision<AccountEvent>, Never> {
//! #         Ok(emit(AccountEvent::Deposited { cents: command.cents }))
//! #     }
//! # }
//! for seed in 0..20 {
//!     simulate(seed, |store: Store| App::open(store))
//!         .clients(3, async |client| {
//!             for deposit in 0..5 {
//!                 let key = format!("client-{}-{deposit}", client.number());
//!                 let answer = client.insist(async || {
//!                     let account = client.app().on::<Account>("shared".to_owned());
//!                     account.execute(Deposit { cents: 1 }).key(&key).await
//!                 });
//!                 answer.await.expect("nothing is rejected here");
//!             }
//!         })
//!         .run(async |app| {
//!             let account = app.load::<Account>(&"shared".to_owned()).await.expect("it can be read");
//!             assert_eq!(account.state.cents, 15, "each deposit counts once");
//!         });
//! }
//! ```

mod client;
mod life;
mod random;
mod rows;
mod run;
mod store;

pub use client::Client;
pub use run::{Moment, Simulated, Simulation, simulate};
