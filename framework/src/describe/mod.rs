//! What an app consists of, for people: tables in Markdown and a chart in Mermaid, always current because they come from
//! the wiring.

mod markdown;
mod mermaid;
mod steps;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write},
    path::Path,
};

use crate::{
    command::CommandSet,
    event::{Declared, EventSchema, PayloadSchema},
    evolution::{Mode, check_text},
    inbox::Inbox,
    outbox::Outbox,
    workflow::StepShape,
};

/// An app's commands, aggregates, scopes, events, projections, sagas, workflows, outboxes and inboxes: from
/// [`AppBuilder::describe`](crate::AppBuilder::describe). Printed, it is a chart and tables, ready for a document.
///
/// Its order is that of names, so the same wiring always gives the same text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Description {
    aggregates: BTreeMap<Name, BTreeSet<&'static str>>,
    /// Commands, each with the aggregates that decide about it.
    commands: BTreeMap<&'static str, BTreeSet<Name>>,
    /// Scopes and the commands that each decides about, with the categories that it rests on.
    scopes: BTreeMap<(Name, &'static str), BTreeSet<&'static str>>,
    events: BTreeMap<EventName, EventSchema>,
    consumers: BTreeMap<(Kind, &'static str), Consumer>,
    outboxes: BTreeMap<String, Published>,
    workflows: BTreeMap<&'static str, Vec<StepShape>>,
    inboxes: BTreeMap<&'static str, Consumed>,
}

/// What an aggregate, or a scope, is called in the source.
type Name = &'static str;

/// A category, and the declared name of an event in it.
type EventName = (&'static str, &'static str);

/// What kind of consumer: `projection`, `saga`, `workflow`.
type Kind = &'static str;

/// Who follows the log under a name.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Consumer {
    version: u32,
    events: BTreeSet<EventName>,
    /// Commands that it sends.
    sends: BTreeSet<&'static str>,
}

/// What an outbox is wired for.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Published {
    /// The events that it maps; `None` if a mapping looks at all of them.
    events: Option<BTreeSet<EventName>>,
    types: BTreeSet<String>,
}

/// What an inbox is wired for: whose messages, and which of them, `name.vN`.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Consumed {
    source: String,
    types: BTreeSet<String>,
}

impl Description {
    /// Adds commands, and the aggregates that decide about them.
    pub(crate) fn commands(&mut self, set: &CommandSet) {
        for named in set.named() {
            self.commands.entry(named.command).or_default().insert(named.aggregate);
            self.aggregates.entry(named.aggregate).or_default().insert(named.category);
            self.declared(&named.declared);
        }
    }

    /// Adds a scope that decides about a command.
    pub(crate) fn scope(&mut self, scope: Name, command: &'static str, declared: &[Declared]) {
        self.declared(declared);
        let categories = declared.iter().map(|declared| declared.category).collect();
        self.scopes.insert((scope, command), categories);
    }

    /// Adds who follows the log, and which commands it sends: `kind` is `projection`, `saga` or `workflow`.
    pub(crate) fn consumer(
        &mut self,
        kind: Kind,
        name: &'static str,
        version: u32,
        declared: &[Declared],
        sent: &CommandSet,
    ) {
        self.commands(sent);
        let (events, sends) = (self.declared(declared), sent.named().map(|named| named.command).collect());
        self.consumers.insert((kind, name), Consumer { version, events, sends });
    }

    /// Adds the steps of a workflow.
    pub(crate) fn workflow(&mut self, name: &'static str, steps: Vec<StepShape>) {
        self.workflows.insert(name, steps);
    }

    pub(crate) fn outbox(&mut self, outbox: &Outbox) {
        let events = outbox.mapped().map(|declared| self.declared(declared));
        let types = outbox.published_types().iter().cloned().collect();
        self.outboxes.insert(outbox.destination(), Published { events, types });
    }

    pub(crate) fn inbox(&mut self, inbox: &Inbox) {
        let types = inbox.declared().iter().flat_map(|declared| declared.types);
        let types = types.map(|(name, version)| format!("{name}.v{version}")).collect();
        self.inboxes.insert(inbox.name(), Consumed { source: inbox.source(), types });
    }

    fn declared(&mut self, declared: &[Declared]) -> BTreeSet<EventName> {
        let mut names = BTreeSet::new();
        for declared in declared {
            for schema in declared.events() {
                let name = (declared.category, schema.name);
                names.insert(name);
                // One consumer may know an event better than another, whichever comes first.
                let known = |schema: &EventSchema| (schema.version, schema.payload != PayloadSchema::Unknown);
                let best = self.events.entry(name).or_insert(schema);
                if known(&schema) > known(best) {
                    *best = schema;
                }
            }
        }
        names
    }

    /// The names of the kind of thing that there are, for example all projections.
    fn kinds(&self) -> BTreeSet<Kind> {
        self.consumers.keys().map(|(kind, _)| *kind).collect()
    }

    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&'static str, &Consumer)> {
        self.consumers.iter().filter(move |((own, _), _)| *own == kind).map(|((_, name), consumer)| (*name, consumer))
    }

    /// The categories of the streams that its commands record in.
    #[must_use]
    pub fn categories(&self) -> BTreeSet<&'static str> {
        self.aggregates.values().chain(self.scopes.values()).flatten().copied().collect()
    }

    /// The names of who follows the log: `projection`, `saga` or `workflow`.
    pub fn consumers(&self, kind: &'static str) -> impl Iterator<Item = &'static str> {
        self.of_kind(kind).map(|(name, _)| name)
    }

    /// The outboxes: where to, and which integration events, `name.vN`.
    pub fn outboxes(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        self.outboxes.iter().map(|(destination, published)| (destination.as_str(), &published.types))
    }

    /// The inboxes: their names, where from, and which integration events, `name.vN`.
    pub fn inboxes(&self) -> impl Iterator<Item = (&'static str, &str, &BTreeSet<String>)> {
        self.inboxes.iter().map(|(name, consumed)| (*name, consumed.source.as_str(), &consumed.types))
    }

    /// Tables: commands, scopes, events with their fields and tags, consumers with what they follow, steps of workflows.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        _ = markdown::write(self, &mut text);
        _ = steps::write(self, &mut text);
        text
    }

    /// A flow chart: command → aggregate or scope → event → projection, saga or outbox; integration events → inbox.
    #[must_use]
    pub fn mermaid(&self) -> String {
        let mut text = String::new();
        _ = mermaid::write(self, &mut text);
        text
    }

    /// In a test: compares the document at `path`, a page in Markdown with the chart and the tables, with this
    /// description; with `ANNALIST_LOCK=update` in the environment it writes it.
    ///
    /// # Panics
    /// When the document says something else, or cannot be read or written: the test fails.
    #[track_caller]
    pub fn check(&self, path: impl AsRef<Path>) {
        if let Err(wrong) = self.check_in(path.as_ref(), Mode::from_env()) {
            panic!("{wrong}");
        }
    }

    fn check_in(&self, path: &Path, mode: Mode) -> Result<(), String> {
        let head =
            "<!-- Written by a test from the wiring: `ANNALIST_LOCK=update cargo test`. Edit the wiring, not this. -->";
        check_text(path, &format!("# What the app consists of\n\n{head}\n\n{self}"), mode)
    }
}

/// The chart in a block of its own, then the tables.
impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("```mermaid\n")?;
        mermaid::write(self, f)?;
        f.write_str("```\n")?;
        markdown::write(self, f)?;
        steps::write(self, f)
    }
}

/// `projection` as a heading.
fn heading(kind: Kind) -> String {
    let mut heading = String::new();
    for (at, char) in kind.chars().enumerate() {
        _ = heading.write_char(if at == 0 { char.to_ascii_uppercase() } else { char });
    }
    heading + "s"
}
