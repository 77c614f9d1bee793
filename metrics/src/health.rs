//! Whether something works.

use std::fmt;

/// Whether something works, and if not, why: what a readiness probe asks for. It speaks of the process and its store, never
/// of what is outside.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Health {
    /// It works.
    #[default]
    Healthy,
    /// It does what it is asked, but something of it is behind, or waits for others. Look at it when there is time.
    Degraded {
        /// What is in the way.
        why: String,
    },
    /// It answers questions and takes nothing more. Send writers elsewhere, and act.
    ReadOnly {
        /// What is in the way, and what to do.
        why: String,
    },
    /// It does not work. Act.
    Failed {
        /// What is in the way, and what to do.
        why: String,
    },
}

impl Health {
    /// The names of all states, from the best to the worst.
    pub const STATES: [&'static str; 4] = ["healthy", "degraded", "read-only", "failed"];

    /// Something is behind, or waits for others.
    pub fn degraded(why: impl Into<String>) -> Self {
        Self::Degraded { why: why.into() }
    }

    /// It takes nothing more.
    pub fn read_only(why: impl Into<String>) -> Self {
        Self::ReadOnly { why: why.into() }
    }

    /// It does not work.
    pub fn failed(why: impl Into<String>) -> Self {
        Self::Failed { why: why.into() }
    }

    /// The name of the state.
    #[must_use]
    pub const fn state(&self) -> &'static str {
        let [healthy, degraded, read_only, failed] = Self::STATES;
        match self {
            Self::Healthy => healthy,
            Self::Degraded { .. } => degraded,
            Self::ReadOnly { .. } => read_only,
            Self::Failed { .. } => failed,
        }
    }

    /// How bad it is: 0 for healthy, more for each worse state.
    #[must_use]
    pub const fn severity(&self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Degraded { .. } => 1,
            Self::ReadOnly { .. } => 2,
            Self::Failed { .. } => 3,
        }
    }

    /// What is in the way.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Healthy => None,
            Self::Degraded { why } | Self::ReadOnly { why } | Self::Failed { why } => Some(why),
        }
    }

    /// Whether it takes what is to be recorded: what a readiness probe of a service that writes asks.
    #[must_use]
    pub const fn takes_writes(&self) -> bool {
        matches!(self, Self::Healthy | Self::Degraded { .. })
    }
}

/// `healthy`, or `read-only: a write failed`
impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.state())?;
        self.why().map_or(Ok(()), |why| write!(f, ": {why}"))
    }
}
