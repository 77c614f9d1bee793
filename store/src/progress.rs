//! How far a long operation has come.

/// How far a long operation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is done, in the unit of the operation.
    pub done: u64,
    /// What there is to do.
    pub total: u64,
}
