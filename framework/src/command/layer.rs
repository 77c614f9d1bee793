//! What stands around every command.

use std::{
    error::Error,
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use annalist_core::{Cursor, Metadata};
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::{CommandError, Context, ExecuteError, Receipt, Target};

/// Something that stands around every execution of a command: authorisation, validation of what all commands have in
/// common, metrics, tracing. It sees who wants what of whom, and what came of it, never events. Rules of the domain belong
/// into `decide`.
///
/// Layers are entered in the order in which they were added, before anything is loaded or looked up, and for repeated
/// commands too. With the command they are inside of the bound on commands in flight, and inside of the deadline.
///
/// ```
/// use annalist::{CommandInfo, CommandLayer, Ended, Next, Refusal};
/// use annalist::{App, Store};
///
/// struct Authorisation;
///
/// #[async_trait::async_trait]
/// impl CommandLayer for Authorisation {
///     fn name(&self) -> &'static str { "authorisation" }
///
///     async fn around(&self, command: &CommandInfo<'_>, next: Next<'_>) -> Result<Ended, Refusal> {
///         if command.name() == "close-account" && command.actor() != Some("director") {
///             return Err("only the director closes accounts".into());
///         }
///         Ok(next.run().await)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::open(Store::memory()).layer(Authorisation).start().await?;
/// # Ok(()) }
/// ```
#[async_trait]
pub trait CommandLayer: Send + Sync + 'static {
    /// Its name, for whoever is refused.
    fn name(&self) -> &'static str;

    /// Executes a command by [`Next::run`], and does what it does before and after.
    ///
    /// # Errors
    /// Why it refuses: the caller gets [`CommandError::Refused`] with it. It must refuse before it runs `next`: what has
    /// been executed stands, and a refusal afterwards is passed over.
    async fn around(&self, command: &CommandInfo<'_>, next: Next<'_>) -> Result<Ended, Refusal>;
}

/// Why a layer refuses a command: an error of its own, which the caller may downcast to, or a text.
pub type Refusal = Box<dyn Error + Send + Sync>;

/// A command as layers see it.
pub struct CommandInfo<'a> {
    pub(super) name: &'static str,
    pub(super) target: &'a Target,
    pub(super) key: Option<&'a str>,
    pub(super) cx: &'a Context,
    pub(super) metadata: &'a Metadata,
    pub(super) payload: &'a (dyn Fn() -> serde_json::Result<Value> + Send + Sync),
}

impl<'a> CommandInfo<'a> {
    /// Its declared name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The stream or the query that is decided on.
    #[must_use]
    pub const fn target(&self) -> &'a Target {
        self.target
    }

    /// Its key within the scope of its target, if it has one.
    #[must_use]
    pub const fn key(&self) -> Option<&'a str> {
        self.key
    }

    /// Its identity, its time and its correlation, as the decision sees them.
    #[must_use]
    pub const fn context(&self) -> &'a Context {
        self.cx
    }

    /// In whose name it is executed.
    #[must_use]
    pub fn actor(&self) -> Option<&'a str> {
        self.metadata.actor.as_deref()
    }

    /// All that the caller said of its circumstances.
    #[must_use]
    pub const fn metadata(&self) -> &'a Metadata {
        self.metadata
    }

    /// The command as JSON, made now.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn payload(&self) -> serde_json::Result<Value> {
        (self.payload)()
    }
}

impl fmt::Debug for CommandInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandInfo")
            .field("name", &self.name)
            .field("target", self.target)
            .field("key", &self.key)
            .field("context", self.cx)
            .finish_non_exhaustive()
    }
}

/// What came of a command, as layers see it. Only [`Next::run`] makes it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Ended {
    /// It was accepted.
    #[non_exhaustive]
    Accepted {
        /// How many events it caused.
        events: u64,
        /// Whether that was before, under the same key.
        repeated: bool,
        /// The position up to which the log holds them.
        cursor: Cursor,
    },
    /// The domain rejected it.
    #[non_exhaustive]
    Rejected {
        /// The rejection, as text.
        why: String,
    },
    /// It could not be recorded, or it is not known whether it was; or a layer further in refused it.
    #[non_exhaustive]
    Failed {
        /// Which [`CommandError`], as a short name for metrics: `contended`, `unknown`.
        kind: &'static str,
        /// The error, as text.
        why: String,
    },
}

impl Ended {
    fn of<R, V, J: Error + 'static>(executed: &Result<Receipt<R, V>, ExecuteError<J>>) -> Self {
        match executed {
            Ok(Receipt { events, repeated, cursor, .. }) => {
                Self::Accepted { events: *events, repeated: *repeated, cursor: *cursor }
            }
            Err(ExecuteError::Rejected(rejection)) => Self::Rejected { why: rejection.to_string() },
            Err(ExecuteError::Failed(error)) => Self::Failed { kind: error.kind(), why: error.to_string() },
        }
    }
}

/// The rest of the way: the layers further in, and the execution itself.
#[must_use = "the command is not executed until this is run"]
pub struct Next<'a> {
    layers: &'a [Arc<dyn CommandLayer>],
    command: &'a CommandInfo<'a>,
    execution: BoxFuture<'a, Ended>,
    refused: &'a Mutex<Option<CommandError>>,
}

impl Next<'_> {
    /// Executes the command.
    pub async fn run(self) -> Ended {
        let Self { layers, command, execution, refused } = self;
        let Some((first, layers)) = layers.split_first() else { return execution.await };
        match first.around(command, Next { layers, command, execution, refused }).await {
            Ok(ended) => ended,
            Err(why) => {
                let error = CommandError::Refused { by: first.name(), why };
                let ended = Ended::Failed { kind: error.kind(), why: error.to_string() };
                refused.lock().unwrap_or_else(PoisonError::into_inner).replace(error);
                ended
            }
        }
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").field("layers", &self.layers.len()).finish_non_exhaustive()
    }
}

/// The layers of an app, in order.
#[derive(Clone, Default)]
pub(crate) struct Layers(Vec<Arc<dyn CommandLayer>>);

impl Layers {
    pub(crate) fn push(&mut self, layer: impl CommandLayer) {
        self.0.push(Arc::new(layer));
    }

    /// Executes a command within the layers. What was executed is answered, whatever layers make of it; `given_up` says
    /// what is to be answered when a layer began it and did not wait for it.
    pub(super) async fn around<R, V, J>(
        &self,
        command: &CommandInfo<'_>,
        execution: impl Future<Output = Result<Receipt<R, V>, ExecuteError<J>>> + Send,
        given_up: impl FnOnce(CommandError) -> Option<CommandError>,
    ) -> Result<Receipt<R, V>, ExecuteError<J>>
    where
        R: Send,
        V: Send,
        J: Error + Send + 'static,
    {
        if self.0.is_empty() {
            return execution.await;
        }
        let (mut executed, refused) = (None, Mutex::new(None));
        let run = Box::pin(async {
            let ended = executed.insert(execution.await);
            Ended::of(ended)
        });
        Next { layers: &self.0, command, execution: run, refused: &refused }.run().await;
        if let Some(executed) = executed {
            return executed;
        }
        let refused = refused.into_inner().unwrap_or_else(PoisonError::into_inner);
        let unsaid = || CommandError::Refused { by: "a layer", why: "it did not execute the command".into() };
        // An execution that was answered has put its answer above.
        let error = given_up(refused.unwrap_or_else(unsaid)).unwrap_or(CommandError::Closed);
        Err(error.into())
    }
}
