//! What is declared of the shape of events, as data.

/// How an event is recorded: its name, its versions, what its payload looks like.
///
/// `#[derive(Event)]` takes it from what is written in the source: a field's type is its text there, and what that type
/// consists of is not seen. Golden samples ([`evolution`](crate::evolution)) show that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventSchema {
    /// The declared name.
    pub name: &'static str,
    /// The current version.
    pub version: u16,
    /// The older versions that are read by an upcaster.
    pub upcasts: &'static [u16],
    /// The payload in the current version.
    pub payload: PayloadSchema,
    /// The names of the tags.
    pub tags: &'static [&'static str],
}

/// What a payload looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PayloadSchema {
    /// Nobody described it: the set of events is written by hand and has no [`EventSet::SCHEMA`](crate::EventSet::SCHEMA).
    Unknown,
    /// An object with these fields, in the order in which they are written.
    Fields(&'static [FieldSchema]),
    /// Whatever a value of this type is written as.
    Value(&'static str),
}

/// A field of a payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FieldSchema {
    /// Its name in the JSON.
    pub name: &'static str,
    /// Its type as the source has it, with what serde is told about its form.
    pub ty: &'static str,
    /// Whether a payload without it can be read: it is an `Option`, or has a default.
    pub optional: bool,
}

impl EventSchema {
    /// An event of which only the name and the current version are known.
    #[must_use]
    pub const fn unknown(name: &'static str, version: u16) -> Self {
        Self { name, version, upcasts: &[], payload: PayloadSchema::Unknown, tags: &[] }
    }
}
