//! How a command ends, and with which exit code.

use std::{io, path::PathBuf, process::ExitCode};

use annalist_core::{AppendError, Invalid, StoreError};
use annalist_store::{BackupError, OpenError};

/// How a command ends that did what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// All is well.
    Well,
    /// It was asked to look for damage, and found some.
    FoundDamage,
}

impl Done {
    pub(crate) fn exit_code(self) -> ExitCode {
        match self {
            Self::Well => ExitCode::SUCCESS,
            Self::FoundDamage => ExitCode::from(5),
        }
    }
}

/// Why a command could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error("cannot write the output")]
    Output(#[source] io::Error),
    /// What was asked for cannot be.
    #[error("{0}")]
    Usage(String),
    /// A line of a file cannot be imported.
    #[error("{}, line {number}: {why}", .file.display())]
    Line { file: PathBuf, number: u64, why: String },
    #[error("{0}")]
    Configuration(String),
    #[error("{0}")]
    Other(String),
}

impl Failure {
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Line { .. } => 6,
            Self::Append(
                AppendError::Conflict { .. } | AppendError::ConditionFailed { .. } | AppendError::KeyReused { .. },
            ) => 7,
            Self::Usage(_)
            | Self::Configuration(_)
            | Self::Invalid(_)
            | Self::Append(AppendError::Invalid(_) | AppendError::TooLarge { .. })
            | Self::Store(StoreError::Invalid(_))
            | Self::Backup(BackupError::Occupied { .. } | BackupError::Beyond { .. }) => 2,
            Self::Open(error) | Self::Backup(BackupError::Open(error)) => of_opening(error),
            Self::Backup(BackupError::Unfit { .. }) => 3,
            Self::Backup(BackupError::Busy { .. }) => 4,
            Self::Store(StoreError::Corrupt { .. })
            | Self::Append(AppendError::Store(StoreError::Corrupt { .. }))
            | Self::Backup(BackupError::Damaged(_) | BackupError::Store(StoreError::Corrupt { .. })) => 5,
            Self::Append(_) | Self::Backup(_) | Self::Store(_) | Self::Output(_) | Self::Other(_) => 1,
        })
    }
}

fn of_opening(error: &OpenError) -> u8 {
    match error {
        OpenError::NotAStore { .. } => 3,
        OpenError::Locked { .. } => 4,
        OpenError::Damaged(_) => 5,
        _ => 1,
    }
}
