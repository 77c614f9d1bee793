//! Commands: what someone wants, and how an aggregate or a scope decides about it.

mod context;
mod decision;

mod error;
mod message;
mod options;
mod receipt;
mod target;

mod circumstances;
mod fingerprint;
mod gate;
mod layer;
mod progress;

mod basis;
mod executor;
mod scope;
mod stream;

mod execute;

mod set;

#[cfg(test)]
mod tests;

use std::error::Error;

use serde::{Serialize, de::DeserializeOwned};

use crate::aggregate::State;

pub use circumstances::Circumstances;
pub(crate) use circumstances::Surroundings;
pub use context::{CommandId, Context};
pub use decision::{Decision, emit, emit_all, nothing};
pub use error::{CommandError, ExecuteError};
pub(crate) use execute::Commands;
pub use execute::{Cause, Execute};
pub(crate) use executor::Executor;
pub(crate) use gate::Gate;
pub(crate) use layer::Layers;
pub use layer::{CommandInfo, CommandLayer, Ended, Next, Refusal};
pub use message::InboxMessage;
pub use options::CommandOptions;
pub use progress::Deadline;
use progress::Progress;
pub use receipt::Receipt;
pub use scope::{InScope, Scope};
pub use set::CommandSet;
pub(crate) use set::{Attempt, name_of};
pub use stream::On;
pub use target::Target;

/// What someone wants an aggregate to do. `#[derive(Command)]` with `#[command(name = "withdraw")]` writes this.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a command",
    label = "this is not a `Command`",
    note = "add `#[derive(annalist::Command, serde::Serialize, serde::Deserialize)]` and `#[command(name = \"...\")]` to it"
)]
pub trait Command: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its declared name: Rust's does not matter. The name is part of the fingerprint by which a repetition is known.
    const NAME: &'static str;
}

/// How a state decides about a command: one implementation for each command, with its own rejection and its own reply.
///
/// ```
/// # use annalist::{Command, Context, Decide, Decision, Event, State, emit, ensure};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Event, Clone, Debug)]
/// # #[event(category = "account")]
/// # enum AccountEvent { #[event(name = "money-withdrawn")] Withdrawn { cents: u64 } }
/// # #[derive(Default)]
/// # struct Account { cents: u64 }
/// # impl State for Account { type Event = AccountEvent; fn evolve(&mut self, _: &AccountEvent) {} }
/// #[derive(Command, Serialize, Deserialize)]
/// #[command(name = "withdraw")]
/// struct Withdraw { cents: u64 }
///
/// #[derive(Debug, thiserror::Error, Serialize, Deserialize)]
/// #[error("there are only {left} cents left")]
/// struct InsufficientFunds { left: u64 }
///
/// impl Decide<Withdraw> for Account {
///     type Rejection = InsufficientFunds;
///     type Reply = u64;
///
///     fn decide(&self, command: &Withdraw, _: &Context) -> Result<Decision<AccountEvent, u64>, InsufficientFunds> {
///         ensure!(self.cents >= command.cents, InsufficientFunds { left: self.cents });
///         Ok(emit(AccountEvent::Withdrawn { cents: command.cents }).reply(self.cents - command.cents))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not decide about this command",
    label = "`{Self}` has no `Decide` for it",
    note = "write `impl Decide<TheCommand> for {Self}` with its Rejection, its Reply and `fn decide`"
)]
pub trait Decide<C: Command>: State {
    /// Why it may refuse: a value of the domain, for the caller.
    type Rejection: Error + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// What the caller is told beside that it was recorded. It is recorded too, for a repetition of the command.
    type Reply: Serialize + DeserializeOwned + Send + 'static;

    /// Decides, from nothing but its arguments: time and ids come from the [`Context`]. It may be called several times
    /// for one command, with other states, when others write the same stream at the same time.
    ///
    /// # Errors
    /// The rejection. Nothing is recorded then, and the same command may be tried again.
    fn decide(&self, command: &C, cx: &Context) -> Result<Decision<Self::Event, Self::Reply>, Self::Rejection>;
}
