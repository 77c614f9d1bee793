//! What can go wrong, and what the errors of a database mean for a projection.

use std::{error::Error, io, path::PathBuf};

use annalist::projection::ModelError;
use sqlx::error::DatabaseError;

/// Why a read model could not be opened or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqlError {
    /// The database cannot be reached, or is busy. Try again.
    #[error("the database cannot be reached, or is busy")]
    Unavailable(#[source] sqlx::Error),
    /// The view has never been complete. Wait for it with [`reached`](annalist::projection::Projections::reached).
    #[error("the view `{projection}` is being filled for the first time; wait for it before reading")]
    Building {
        /// The projection.
        projection: &'static str,
    },
    /// The tables cannot be made as they are declared. Mend the declaration.
    #[error("the tables of `{projection}` cannot be made")]
    Tables {
        /// The projection.
        projection: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// The folder belongs to another projection. Give each a folder of its own.
    #[error("the folder {} holds the view `{found}` and not `{projection}`: give each a folder of its own", folder.display())]
    Occupied {
        /// The folder.
        folder: PathBuf,
        /// Whose it is.
        found: String,
        /// The projection.
        projection: &'static str,
    },
    /// The files of a view cannot be made, listed or removed.
    #[error("the files in {} cannot be reached", folder.display())]
    Files {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database refused.
    #[error("the database refused")]
    Refused(#[source] sqlx::Error),
}

impl From<sqlx::Error> for SqlError {
    fn from(error: sqlx::Error) -> Self {
        if is_outage(&error) { Self::Unavailable(error) } else { Self::Refused(error) }
    }
}

impl From<SqlError> for ModelError {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::Unavailable(error) => Self::Unavailable(Box::new(error)),
            error => Self::Other(Box::new(error)),
        }
    }
}

/// The error of a statement of ours, for a projection.
pub(crate) fn model(error: sqlx::Error) -> ModelError {
    SqlError::from(error).into()
}

/// Whether an error that a projection met while it wrote its rows is one of the database and not of the event.
pub(crate) fn is_outage_of_any(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref().is_some_and(is_outage)
}

/// Whether the same can succeed later without anybody's doing.
fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_passing(&**error, &code)),
        _ => false,
    }
}

fn is_passing(error: &dyn DatabaseError, code: &str) -> bool {
    if error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
        // Classes: connection, resources, ended by an operator or a restart; then serialisation, deadlock, a lock that is
        // not free, and a time-out of an idle transaction.
        return ["08", "53", "57"].iter().any(|class| code.starts_with(class))
            || ["40001", "40P01", "55P03", "25P03"].contains(&code);
    }
    // The lower byte is the primary code: SQLITE_BUSY, SQLITE_LOCKED, SQLITE_FULL.
    code.parse().is_ok_and(|code: i32| [5, 6, 13].contains(&(code & 0xff)))
}
