//! What users implement.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::steps::Steps;
use crate::event::{Events, Recorded};

/// A process of steps, one after the other: each is a command, and each says how it is undone. When one fails, what was
/// done before is undone, the last first; from the pivot on there is no way back, and steps are tried until they are done.
///
/// The type itself is what the steps know: it begins with [`Workflow::start`], replies and events may add to it.
///
/// See the [module](super) for an example and for what happens when.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a workflow",
    note = "implement `Workflow` for it: NAME, VERSION, the Event that begins it, and `fn start`, `steps`",
    note = "`Workflow` needs `Serialize` and `Deserialize`: what the steps know is part of its records"
)]
pub trait Workflow: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its name on disk; a workflow is a saga, so the rule is that of [`Saga::NAME`](crate::saga::Saga::NAME). It never
    /// changes.
    const NAME: &'static str;

    /// Which shape the data has. Increment it when instances that are under way cannot be read any more, and say in
    /// [`Workflow::migrate`] how they can. A change of the steps needs no new version: see [`Workflow::steps`].
    const VERSION: u32;

    /// The events that begin it, and those that steps wait for.
    type Event: Events;

    /// The key of the instance that an event begins, and what its steps know; `None` if it begins none. Must depend on
    /// nothing but the event.
    fn start(event: &Recorded<Self::Event>) -> Option<(String, Self)>;

    /// The key of the instance that another event is for: one that a step waits for, see [`Step::until`](super::Step::until).
    /// Must depend on nothing but the event.
    #[must_use]
    fn about(event: &Recorded<Self::Event>) -> Option<String> {
        let _ = event;
        None
    }

    /// The steps, in order. It is asked anew for each input, so it must always say the same.
    ///
    /// An instance that is under way knows its steps by their names. A step may be added anywhere: instances that are past
    /// that place go on without it. A step that is renamed says so ([`Step::formerly`](super::Step::formerly)). One that is
    /// no longer wanted stays until no instance is under way that has gone through it, with an `execute` that returns
    /// `None`. If a step is missing that an instance has gone through, or the order is another one, the app does not start.
    fn steps(steps: &mut Steps<Self>);

    /// The workflow turns back, because of this step, for this reason: a place to note it for the compensations.
    fn turned_back(&mut self, step: &str, why: &str) {
        let _ = (step, why);
    }

    /// The data of an instance under way, as another [`Workflow::VERSION`] wrote it, in the present shape; `None` if it
    /// cannot go on. Then the app does not start.
    #[must_use]
    fn migrate(version: u32, data: Value) -> Option<Self> {
        let _ = (version, data);
        None
    }
}

/// What an event says about a step that waits for one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The step is done.
    Done,
    /// It has failed, and nothing of it has happened: as if the command had been rejected.
    Failed(String),
}
