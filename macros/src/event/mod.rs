//! `#[derive(Event)]`: the enum is read into a plain description, which is then written out as an implementation.

mod expand;
mod parse;
mod schema;
mod upcasts;

use proc_macro2::TokenStream;
use syn::{Attribute, DeriveInput, Ident, LitStr, Result, Type};

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    Ok(expand::event_set(&parse::event_set(input)?))
}

/// An enum of events.
struct EventSet<'a> {
    ident: &'a Ident,
    category: LitStr,
    events: Vec<Event<'a>>,
}

/// A variant.
struct Event<'a> {
    ident: &'a Ident,
    name: LitStr,
    version: u16,
    upcasts: Vec<Upcast>,
    payload: Payload<'a>,
}

/// How an old version is read.
struct Upcast {
    version: u16,
    from: Type,
    /// The shapes that it goes through on its way to the enum, in order.
    through: Vec<Type>,
}

enum Payload<'a> {
    /// `Closed`: an empty object.
    Unit,
    /// `Deposited { .. }`: an object.
    Fields(Vec<(&'a Ident, Field<'a>)>),
    /// `Deposited(Deposit)`: whatever the value is.
    Value(Field<'a>),
}

struct Field<'a> {
    ty: &'a Type,
    /// `#[serde(...)]`, which the payload's own struct repeats.
    kept: Vec<&'a Attribute>,
    /// The name of the tag, if it is one.
    tag: Option<String>,
}

/// Whether a type is written as an `Option`: the only one whose value may be missing as a tag.
fn is_option(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Option"))
}
