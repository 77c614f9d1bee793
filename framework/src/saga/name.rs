//! What a saga is called on disk.

use std::marker::PhantomData;

use super::{limits::NAME_BYTES_MAX, model::Saga};

/// What stands before the name of a saga in the category of its streams. It never changes.
const PREFIX: &str = "saga.";

const CATEGORY_BYTES_MAX: usize = PREFIX.len() + NAME_BYTES_MAX;

/// The names of a saga.
pub(super) struct Names<S>(PhantomData<fn() -> S>);

impl<S: Saga> Names<S> {
    const JOINED: ([u8; CATEGORY_BYTES_MAX], usize) = joined(S::NAME);

    /// The category of the streams of its instances, and the name of the view of its rows: `saga.` and the name. Of a name
    /// that breaks the rule it is something else; the saga does not start then.
    pub(super) const CATEGORY: &'static str = {
        let (bytes, len) = &Self::JOINED;
        match str::from_utf8(bytes.split_at(*len).0) {
            Ok(category) => category,
            Err(_) => PREFIX,
        }
    };
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which refuses an index out of bounds")]
const fn joined(name: &str) -> ([u8; CATEGORY_BYTES_MAX], usize) {
    let (mut bytes, mut len) = ([0; CATEGORY_BYTES_MAX], 0);
    let (prefix, name) = (PREFIX.as_bytes(), name.as_bytes());
    while len < PREFIX.len() + name.len() && len < CATEGORY_BYTES_MAX {
        bytes[len] = if len < PREFIX.len() { prefix[len] } else { name[len - PREFIX.len()] };
        len += 1;
    }
    (bytes, len)
}

/// Whether a saga may be called so.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(|c| c == '-' || c.is_control())
}
