//! What the index on disk does not cover yet, in memory; and the view that joins the two.

mod generation;
mod view;

pub(crate) use generation::{Generation, Seal};
pub(crate) use view::View;
