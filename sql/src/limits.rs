//! Every limit, with its reason.

use std::time::Duration;

/// Connections that write, for each projection in PostgreSQL: the runner, a rebuild, and what both ask in between. One with
/// partitions has as many more.
pub(crate) const WRITERS_MAX: u32 = 3;

/// Connections that read, for each projection. PostgreSQL allows a hundred in all unless told otherwise.
pub(crate) const READERS_MAX: u32 = 8;

/// How long anybody waits for a connection, or for a lock that another writer holds. Long enough for a batch of another
/// writer, short enough for a shutdown.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// How long a connection may be idle before it is closed.
pub(crate) const IDLE: Duration = Duration::from_mins(1);

/// How long PostgreSQL lets a writer's transaction wait for its next statement. It ends that of a machine that is gone,
/// whose locks nobody else would let go of.
pub(crate) const WRITER_SILENT: Duration = Duration::from_mins(1);

/// How long the removal of a replaced instance waits for others who use its tables; it is made up for later.
pub(crate) const REMOVAL_PATIENCE: Duration = Duration::from_secs(1);

/// How often a reader looks for the live instance when it is replaced under its eyes, and how often a swap is tried
/// when its answer is lost.
pub(crate) const ATTEMPTS_MAX: u32 = 5;

/// Bytes of a PostgreSQL identifier (63) less those of the number of an instance.
pub(crate) const SCHEMA_NAME_BYTES_MAX: usize = 63 - 11;
