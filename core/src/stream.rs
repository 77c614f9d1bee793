//! Names of streams.

use std::sync::Arc;

use crate::{error::Invalid, limits::NAME_BYTES_MAX, text};

/// The stream in which the store records keyed commits that carry no events, so that positions stay dense and the key
/// is in the log. Names that begin with `$` are reserved for the store.
pub const SYSTEM_STREAM: &str = "$commits";

/// The name of a stream: `category-identifier`.
///
/// The category is what stands before the first `-`; a name without `-` is its own category. Names are UTF-8, at most
/// [`NAME_BYTES_MAX`](crate::NAME_BYTES_MAX) bytes, without control characters, and do not begin with `$` or `-`.
///
/// ```
/// # use annalist_core::StreamId;
/// let stream = StreamId::new("account-7f3a-42")?;
/// assert_eq!((stream.category(), stream.identifier()), ("account", "7f3a-42"));
/// # Ok::<(), annalist_core::Invalid>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(Arc<str>);

text::text_newtype!(StreamId, |value| {
    text::check("stream", value, NAME_BYTES_MAX)?;
    match value.as_bytes().first() {
        Some(b'$') => Err(Invalid::Reserved { what: "stream", value: value.to_owned() }),
        Some(b'-') => Err(Invalid::NoCategory { value: value.to_owned() }),
        _ => Ok(()),
    }
});

impl StreamId {
    /// The stream `category-identifier`.
    ///
    /// # Errors
    /// [`Invalid`] when the category is empty or contains `-`, or the whole name breaks a rule of stream names.
    pub fn of(category: &str, identifier: impl std::fmt::Display) -> Result<Self, Invalid> {
        if category.is_empty() || category.contains('-') {
            return Err(Invalid::Category { value: category.to_owned() });
        }
        Self::new(format!("{category}-{identifier}"))
    }

    /// The store's own stream of keyed commits without events; see [`SYSTEM_STREAM`].
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::from(SYSTEM_STREAM))
    }

    /// A name read back from the log, which was checked before it was written.
    pub(crate) fn recorded(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// What stands before the first `-`.
    #[must_use]
    pub fn category(&self) -> &str {
        category(&self.0)
    }

    /// What stands behind the first `-`; empty for a name without one.
    #[must_use]
    pub fn identifier(&self) -> &str {
        self.0.split_once('-').map_or("", |(_, identifier)| identifier)
    }
}

/// What stands before the first `-` of a stream's name; a name without one is its own category.
#[must_use]
pub fn category(stream: &str) -> &str {
    stream.split_once('-').map_or(stream, |(category, _)| category)
}
