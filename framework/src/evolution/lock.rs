//! `events.lock`: what it says, and how that is written.

use std::{collections::BTreeMap, fmt};

use crate::event::{Declared, PayloadSchema};

/// The head of the file.
const HEAD: &str = "\
# Every event of this service, in every version that its log may hold. A test writes and compares this file:
# `ANNALIST_LOCK=update cargo test` adds what is new. Read its diff as one reads a migration.
";

/// Every version of every event, in a fixed order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Lock(pub(super) BTreeMap<Id, Entry>);

/// Which version of which event.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Id {
    pub(super) category: String,
    pub(super) name: String,
    pub(super) version: u16,
}

/// What a version looks like.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Entry {
    /// Whether events are written in this version; if not, they are read by an upcaster.
    pub(super) current: bool,
    pub(super) payload: Payload,
    pub(super) tags: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) enum Payload {
    #[default]
    Unknown,
    Fields(Vec<Field>),
    Value(String),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) ty: String,
    pub(super) optional: bool,
}

impl Lock {
    /// What is declared now. Of older versions nothing is known but that they are read.
    pub(super) fn of(declared: &[Declared]) -> Self {
        let mut lock = Self::default();
        for declared in declared {
            for event in declared.events() {
                let id = |version| Id { category: declared.category.to_owned(), name: event.name.to_owned(), version };
                for &old in event.upcasts {
                    lock.0.insert(id(old), Entry::default());
                }
                let tags = event.tags.iter().map(|&tag| tag.to_owned()).collect();
                lock.0.insert(id(event.version), Entry { current: true, payload: Payload::of(event.payload), tags });
            }
        }
        lock
    }

    /// Reads the file.
    ///
    /// # Errors
    /// Which line cannot be understood.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut lock = Self::default();
        let mut block: Option<(Id, Entry)> = None;
        for (number, line) in text.lines().enumerate() {
            let wrong =
                || format!("line {}, `{line}`, is not one of a lock; bring the file back as it was", number + 1);
            let content = line.trim_start();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let (what, value) = content.split_once(' ').unwrap_or((content, ""));
            if what == "event" {
                lock.0.extend(block.take());
                block = Some((Id { name: value.to_owned(), ..Id::default() }, Entry::default()));
                continue;
            }
            let (id, entry) = block.as_mut().ok_or_else(wrong)?;
            line_of(id, entry, what, value).ok_or_else(wrong)?;
        }
        lock.0.extend(block);
        match lock.0.keys().find(|id| id.version == 0 || id.category.is_empty()) {
            Some(id) => {
                Err(format!("the event `{}` has no category or no version; bring the file back as it was", id.name))
            }
            None => Ok(lock),
        }
    }
}

/// Takes in a line of a block.
fn line_of(id: &mut Id, entry: &mut Entry, what: &str, value: &str) -> Option<()> {
    match what {
        "category" => value.clone_into(&mut id.category),
        "version" => {
            let (version, state) = value.split_once(", ")?;
            id.version = version.parse().ok()?;
            entry.current = match state {
                "current" => true,
                "upcast" => false,
                _ => return None,
            };
        }
        "payload" if value == "not described" => entry.payload = Payload::Unknown,
        "payload" if value == "object" => entry.payload = Payload::Fields(Vec::new()),
        "value" => entry.payload = Payload::Value(value.to_owned()),
        "field" => {
            let Payload::Fields(fields) = &mut entry.payload else { return None };
            let (value, optional) = value.strip_suffix(", optional").map_or((value, false), |value| (value, true));
            let (name, ty) = value.rsplit_once(": ")?;
            fields.push(Field { name: name.to_owned(), ty: ty.to_owned(), optional });
        }
        "tag" => entry.tags.push(value.to_owned()),
        _ => return None,
    }
    Some(())
}

impl Payload {
    fn of(schema: PayloadSchema) -> Self {
        match schema {
            PayloadSchema::Unknown => Self::Unknown,
            PayloadSchema::Value(ty) => Self::Value(ty.to_owned()),
            PayloadSchema::Fields(fields) => {
                let owned = fields.iter().map(|field| Field {
                    name: field.name.to_owned(),
                    ty: field.ty.to_owned(),
                    optional: field.optional,
                });
                Self::Fields(owned.collect())
            }
        }
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEAD)?;
        self.0.iter().try_for_each(|(id, entry)| write!(f, "\nevent {}\n{entry}", Block(id, entry.current)))
    }
}

/// The lines that say which version of which event a block is about.
struct Block<'a>(&'a Id, bool);

impl fmt::Display for Block<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Id { category, name, version }, current) = self;
        let state = if *current { "current" } else { "upcast" };
        write!(f, "{name}\n  category {category}\n  version {version}, {state}")
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.payload {
            Payload::Unknown => f.write_str("  payload not described\n")?,
            Payload::Value(ty) => writeln!(f, "  value {ty}")?,
            Payload::Fields(fields) => {
                f.write_str("  payload object\n")?;
                fields.iter().try_for_each(|field| writeln!(f, "  field {field}"))?;
            }
        }
        self.tags.iter().try_for_each(|tag| writeln!(f, "  tag {tag}"))
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}{}", self.name, self.ty, if self.optional { ", optional" } else { "" })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` version {} of category `{}`", self.name, self.version, self.category)
    }
}
