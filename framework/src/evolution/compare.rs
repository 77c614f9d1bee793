//! What was locked against what is declared now.

use std::collections::{BTreeMap, BTreeSet};

use super::lock::{Entry, Field, Id, Lock, Payload};

/// What comes of it.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// What would make recorded events unreadable, each with what to do about it.
    pub(super) broken: Vec<String>,
    /// What is new and compatible.
    pub(super) changes: Vec<String>,
    /// The lock as it should be.
    pub(super) merged: Lock,
}

/// The versions of one event.
type Versions<'a> = BTreeMap<u16, &'a Entry>;

pub(super) fn compare(locked: &Lock, declared: &Lock) -> Comparison {
    let (mut comparison, before, now) = (Comparison::default(), by_event(locked), by_event(declared));
    let events: BTreeSet<_> = before.keys().chain(now.keys()).copied().collect();
    for event in events {
        match (before.get(&event), now.get(&event)) {
            (Some(before), Some(now)) => comparison.event(event, before, now),
            (Some(_), None) => comparison.broken.push(gone(event, &now)),
            (None, Some(now)) => {
                comparison.changes.push(format!("the event `{}` of category `{}` is new", event.1, event.0));
                comparison.keep(event, now);
            }
            (None, None) => {}
        }
    }
    comparison
}

fn by_event(lock: &Lock) -> BTreeMap<(&str, &str), Versions<'_>> {
    let mut events = BTreeMap::<_, Versions<'_>>::new();
    for (Id { category, name, version }, entry) in &lock.0 {
        events.entry((category.as_str(), name.as_str())).or_default().insert(*version, entry);
    }
    events
}

fn gone((category, name): (&str, &str), now: &BTreeMap<(&str, &str), Versions<'_>>) -> String {
    match now.keys().find(|(_, other)| *other == name) {
        Some((elsewhere, _)) => format!(
            "`{name}` was of category `{category}` and is of category `{elsewhere}`: streams are named after it, so what \
             was recorded would no longer be found. Bring the category back: #[event(category = \"{category}\")]"
        ),
        None => format!(
            "`{name}` of category `{category}` is gone, but the log may hold it. Declare it again; if it was renamed, only \
             its Rust name may be: #[event(name = \"{name}\")]. If it was never recorded, delete its blocks from events.lock \
             and its samples from golden/"
        ),
    }
}

impl Comparison {
    fn event(&mut self, event: (&str, &str), before: &Versions<'_>, now: &Versions<'_>) {
        let ((category, name), mut merged) = (event, now.clone());
        let Some((&current, &entry)) = now.iter().find(|(_, entry)| entry.current) else { return };
        if let Some((&latest, _)) = before.last_key_value().filter(|(latest, _)| **latest > current) {
            self.broken.push(format!(
                "`{name}` of category `{category}` is declared in version {current}, but was in version {latest}: events of \
                 that version could no longer be read. Versions only grow: declare version {}",
                latest.saturating_add(1)
            ));
            return;
        }
        let mut older = Vec::new();
        for (&version, &was) in before {
            if version == current {
                self.payload(event, version, was, entry);
                if entry.payload == Payload::Unknown {
                    merged.insert(version, was);
                }
            } else {
                if !now.contains_key(&version) && entry.payload != Payload::Unknown {
                    self.broken.push(no_upcaster(event, version, was));
                }
                older.push((version, Entry { current: false, ..was.clone() }));
            }
        }
        for version in now.keys().filter(|version| !before.contains_key(version)) {
            self.changes.push(format!("version {version} of `{name}` is new"));
        }
        self.keep(event, &merged);
        for (version, entry) in older {
            self.merged.0.insert(id(event, version), entry);
        }
    }

    /// The same version before and now.
    fn payload(&mut self, event: (&str, &str), version: u16, was: &Entry, is: &Entry) {
        let (mut broken, name) = (Vec::new(), event.1);
        match (&was.payload, &is.payload) {
            (_, Payload::Unknown) => {}
            (Payload::Unknown, _) => self.changes.push(format!("the payload of `{name}` is described now")),
            (Payload::Fields(was), Payload::Fields(is)) => broken = self.fields(name, was, is),
            (was, is) if was == is => {}
            (was, is) => broken.push(format!("its payload was {} and is {}", kind(was), kind(is))),
        }
        for tag in is.tags.iter().filter(|tag| !was.tags.contains(tag)) {
            self.changes.push(format!("`{name}` has the tag `{tag}`; what was recorded before is not found by it"));
        }
        for tag in was.tags.iter().filter(|tag| !is.tags.contains(tag)) {
            self.changes.push(format!(
                "`{name}` has no tag `{tag}` any more; a query by it finds only what was recorded before"
            ));
        }
        if !broken.is_empty() {
            self.broken.push(changed(event, version, &was.payload, &broken));
        }
    }

    fn fields(&mut self, event: &str, was: &[Field], is: &[Field]) -> Vec<String> {
        let mut broken = Vec::new();
        let find = |fields: &[Field], name: &str| fields.iter().find(|field| field.name == name).cloned();
        for field in was {
            match find(is, &field.name) {
                None => broken.push(format!("the field `{field}` is gone")),
                Some(now) if now.ty != field.ty => {
                    broken.push(format!("the field `{}` was `{}` and is `{}`", field.name, field.ty, now.ty));
                }
                Some(now) if field.optional && !now.optional => {
                    broken.push(format!("the field `{}` was optional and is required", field.name));
                }
                Some(_) => {}
            }
        }
        for field in is.iter().filter(|field| find(was, &field.name).is_none()) {
            if field.optional {
                self.changes.push(format!("`{event}` has the optional field `{}`", field.name));
            } else {
                broken.push(format!(
                    "the field `{field}` is new and required; an `Option`, or one with #[serde(default)], would do"
                ));
            }
        }
        broken
    }

    fn keep(&mut self, event: (&str, &str), versions: &Versions<'_>) {
        self.merged.0.extend(versions.iter().map(|(&version, &entry)| (id(event, version), entry.clone())));
    }
}

fn id((category, name): (&str, &str), version: u16) -> Id {
    Id { category: category.to_owned(), name: name.to_owned(), version }
}

fn kind(payload: &Payload) -> String {
    match payload {
        Payload::Unknown => "not described".to_owned(),
        Payload::Fields(_) => "an object with fields".to_owned(),
        Payload::Value(ty) => format!("a value of type `{ty}`"),
    }
}

fn changed((category, name): (&str, &str), version: u16, was: &Payload, broken: &[String]) -> String {
    let (next, old) = (version.saturating_add(1), old_type(name, version));
    let broken = broken.join("\n  - ");
    format!(
        "`{name}` of category `{category}` changed and is still version {version}:\n  - {broken}\n  Take it back, or declare a new \
         version beside the old shape:\n      #[event(name = \"{name}\", version = {next}, upcast(from = {old}))]\n{}  with `From<{old}>` for \
         the enum. If the JSON is what it was (only Rust's name of a type changed), correct the block in events.lock by hand.",
        struct_of(&old, was)
    )
}

fn no_upcaster((_, name): (&str, &str), version: u16, was: &Entry) -> String {
    let old = old_type(name, version);
    format!(
        "`{name}` version {version} cannot be read: it has no upcaster. Add one to its attribute:\n      upcast(version = \
         {version}, from = {old})\n{}  with `From<{old}>` for the enum, or for the next version's shape (`via`).",
        struct_of(&old, &was.payload)
    )
}

/// `money-deposited` in version 1 is `MoneyDepositedV1`.
fn old_type(name: &str, version: u16) -> String {
    let words = name.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty());
    let ty: String = words
        .flat_map(|word| {
            word.chars().enumerate().map(|(at, char)| if at == 0 { char.to_ascii_uppercase() } else { char })
        })
        .collect();
    format!("{ty}V{version}")
}

/// The old shape as Rust, for the person who must write it down.
fn struct_of(name: &str, payload: &Payload) -> String {
    let fields = match payload {
        Payload::Unknown => return String::new(),
        Payload::Value(ty) => return format!("      type {name} = {ty};    // as it was\n"),
        Payload::Fields(fields) => fields,
    };
    let fields: Vec<_> = fields.iter().map(|Field { name, ty, .. }| format!("{name}: {ty}")).collect();
    format!("      #[derive(serde::Deserialize)]\n      struct {name} {{ {} }}\n", fields.join(", "))
}
