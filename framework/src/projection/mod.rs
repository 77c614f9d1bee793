//! Projections: read models that follow the log, and are rebuilt from it.
//!
//! A [`Projection`] turns events into rows of typed [`Table`]s. Rows and cursor change in one transaction of the read
//! model's own store, so each event is applied exactly once. A runner per projection follows the log; what cannot be
//! applied stops that projection alone, right before the event, and is said in its [`ProjectionStatus`]; or it is parked
//! with all later events of its key, durably, and the others go on ([`OnFailure`]). A store of rows that is away is waited for,
//! also at the start, and that is said too ([`ProjectionState::Waiting`]).
//!
//! A view is an *instance* of a projection's rows. A rebuild fills another one beside it from the whole log, catches up,
//! and takes its place in one atomic step; cancelled it leaves no trace, interrupted by the end of the service it goes on at
//! the next start. So does a projection whose VERSION changed: it replays by itself at the next start into an instance of
//! its own. The old instance stays until the new one is complete, so an older program finds its view again; nobody reads a
//! view before it was complete once. A rebuild may keep the instance that it replaces, to roll back to.
//!
//! [`Projections::named`] gives a service's own command line what it needs: status, rebuilds, what is parked.
//!
//! A projection with [`Projection::PARTITIONS`] is applied in several transactions at the same time, each with the events of its
//! keys. The cursor that readers see moves when all of them are done.
//!
//! ```text
//! log ── feed ──► applier ──► instance (projection + read model) ──► published cursor ──► waiting readers
//!                  retries     one transaction per batch
//! ```

mod key;
mod key_value;
mod table;

mod blocking;
mod options;
mod parking;

mod model;

mod embedded;

mod instance;
mod partition;

mod lot;

mod bound;

mod feed;

mod ahead;
mod applier;

mod status;

mod unparking;

mod runner;

mod rebuild;
mod replay;

mod control;

mod resume;

mod handle;
mod running;

mod set;

mod testing;

#[cfg(test)]
mod tests;

#[cfg(feature = "simulation")]
pub(crate) use blocking::InPlace;
pub use control::ProjectionControl;
pub use embedded::{Embedded, Scan, ScanSource, Tx, View};
pub use handle::{ViewError, ViewHandle};
pub use key::{Descending, KeyPrefix, ViewKey};
pub use key_value::{Batch, Change, KeyValueStore, MemoryKeyValue, Rows, VisitRow};
pub use model::{ApplyError, Kept, ModelError, Projection, ReadModel, Unfinished};
pub use options::{ProjectionOptions, RebuildOptions};
pub use parking::{OnFailure, Parked, ParkedCount};
pub use partition::{Partition, Reached};
pub use rebuild::{Rebuild, RebuildError, Rebuilt};
pub use running::Projections;
pub use set::{ProjectionSet, StartError};
pub use status::{Progress, ProjectionState, ProjectionStatus, UnknownProjection};
pub use table::{RowError, Table};
pub use testing::{GivenEvent, GivenView, given_log, given_view};
pub use unparking::ParkedError;
