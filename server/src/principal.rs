//! Who asks, and what they may.

use std::{collections::BTreeMap, fmt, sync::Arc};

use annalist_core::{Append, Query, Read, Source, StreamId, Within};

/// What the bearer of a key, or who shows a certificate, may do; each may do what those before it may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, clap::ValueEnum)]
#[non_exhaustive]
pub enum Role {
    /// Read, follow, ask for statistics and metrics.
    Read,
    /// Append, save snapshots and checkpoints.
    Append,
    /// Everything.
    Admin,
}

impl Role {
    /// By its name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Read, Self::Append, Self::Admin].into_iter().find(|role| role.to_string() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Append => "append",
            Self::Admin => "admin",
        })
    }
}

/// What somebody may do in one category; who may append may read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Right {
    /// Read and follow its streams.
    Read,
    /// Append to them.
    Append,
}

impl Right {
    /// By its name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Read, Self::Append].into_iter().find(|right| right.to_string() == name)
    }

    /// Whether a role includes it.
    pub(crate) fn is_within(self, role: Role) -> bool {
        role >= if self == Self::Read { Role::Read } else { Role::Append }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Append => "append",
        })
    }
}

/// Who asks. Every request that is let in carries it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Principal {
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
    /// The categories that they are confined to; `None`: to none.
    pub(crate) categories: Option<BTreeMap<String, Right>>,
}

/// Why somebody may not. Nothing was done.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Denied(String);

impl Denied {
    /// What is missing.
    pub(crate) fn into_why(self) -> String {
        self.0
    }
}

impl Principal {
    /// Somebody who may do everything.
    pub(crate) fn unconfined(name: &str) -> Self {
        Self { name: name.into(), role: Role::Admin, categories: None }
    }

    /// What an append writes, guards and finds out.
    pub(crate) fn may_append(&self, append: &Append) -> Result<(), Denied> {
        for entry in &append.entries {
            let needed = if entry.events.is_empty() { Right::Read } else { Right::Append };
            self.may(needed, entry.stream.category())?;
        }
        append.conditions.iter().try_for_each(|condition| self.may_query(&condition.query))
    }

    /// What a read finds.
    pub(crate) fn may_read(&self, read: &Read) -> Result<(), Denied> {
        match &read.source {
            Source::Stream { stream, .. } => self.may(Right::Read, stream.category()),
            Source::Query { query, .. } => self.may_query(query),
            // All of the log; `Source` can grow only together with this package.
            _ => self.may_query(&Query::all()),
        }
    }

    /// What a query may find: each item must say a category, or a stream.
    pub(crate) fn may_query(&self, query: &Query) -> Result<(), Denied> {
        if self.categories.is_none() {
            return Ok(());
        }
        for item in &query.items {
            match &item.within {
                Within::Category(category) => self.may(Right::Read, category)?,
                Within::Stream(stream) => self.may(Right::Read, stream.category())?,
                Within::Log => {
                    let why = "the query looks in the whole log, and who asks is confined to some categories; name one in each item";
                    return Err(Denied(why.to_owned()));
                }
            }
        }
        Ok(())
    }

    /// What stands beside a stream.
    pub(crate) fn may_use(&self, needed: Right, stream: &StreamId) -> Result<(), Denied> {
        self.may(needed, stream.category())
    }

    fn may(&self, needed: Right, category: &str) -> Result<(), Denied> {
        let Some(categories) = &self.categories else { return Ok(()) };
        match categories.get(category) {
            Some(right) if *right >= needed => Ok(()),
            Some(right) => Err(Denied(format!("`{}` may {right} in `{category}`; this needs {needed}", self.name))),
            None => Err(Denied(format!("`{}` may nothing in `{category}`; this needs {needed} there", self.name))),
        }
    }
}

#[cfg(test)]
mod tests;
