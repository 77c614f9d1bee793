//! The chart.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{Result, Write},
};

use super::{Description, EventName};

pub(super) fn write(app: &Description, out: &mut impl Write) -> Result {
    let mut ids = Ids::default();
    out.write_str("flowchart LR\n")?;
    let scoped = app.scopes.keys().map(|(_, command)| command);
    for command in app.commands.keys().chain(scoped).collect::<BTreeSet<_>>() {
        writeln!(out, "  {}([{}])", ids.of("command", command), label(command))?;
    }
    for aggregate in app.aggregates.keys() {
        writeln!(out, "  {}[{}]", ids.of("aggregate", aggregate), label(aggregate))?;
    }
    for scope in app.scopes.keys().map(|(scope, _)| scope).collect::<BTreeSet<_>>() {
        writeln!(out, "  {}[[{}]]", ids.of("scope", scope), label(scope))?;
    }
    let categories: BTreeSet<_> = app.events.keys().map(|(category, _)| *category).collect();
    for category in categories {
        writeln!(out, "  subgraph {}[{}]", ids.of("category", category), label(category))?;
        for name in app.events.keys().filter(|(own, _)| *own == category) {
            writeln!(out, "    {}({})", ids.event(*name), label(name.1))?;
        }
        out.write_str("  end\n")?;
    }
    for (kind, name) in app.consumers.keys() {
        let (open, close) = if *kind == "projection" { ("[(", ")]") } else { ("{{", "}}") };
        writeln!(out, "  {}{open}{}{close}", ids.of(kind, name), label(name))?;
    }
    for (destination, published) in &app.outboxes {
        writeln!(out, "  {}>{}]", ids.of("outbox", destination), label(destination))?;
        for public in &published.types {
            writeln!(out, "  {}({})", ids.of("public", public), label(public))?;
        }
    }
    for (inbox, consumed) in &app.inboxes {
        writeln!(out, "  {}[/{}/]", ids.of("inbox", inbox), label(inbox))?;
        for public in &consumed.types {
            writeln!(out, "  {}({})", ids.of("public", public), label(public))?;
        }
    }
    edges(app, &mut ids, out)
}

fn edges(app: &Description, ids: &mut Ids, out: &mut impl Write) -> Result {
    for (command, aggregates) in &app.commands {
        for aggregate in aggregates {
            writeln!(out, "  {} --> {}", ids.of("command", command), ids.of("aggregate", aggregate))?;
        }
    }
    for (aggregate, categories) in &app.aggregates {
        for name in app.events.keys().filter(|(category, _)| categories.contains(category)) {
            writeln!(out, "  {} --> {}", ids.of("aggregate", aggregate), ids.event(*name))?;
        }
    }
    let mut scopes = BTreeMap::<&str, BTreeSet<&str>>::new();
    for ((scope, command), categories) in &app.scopes {
        writeln!(out, "  {} --> {}", ids.of("command", command), ids.of("scope", scope))?;
        scopes.entry(scope).or_default().extend(categories.iter());
    }
    for (scope, categories) in scopes {
        for name in app.events.keys().filter(|(category, _)| categories.contains(category)) {
            writeln!(out, "  {} --> {}", ids.of("scope", scope), ids.event(*name))?;
        }
    }
    for ((kind, name), consumer) in &app.consumers {
        for event in &consumer.events {
            writeln!(out, "  {} --> {}", ids.event(*event), ids.of(kind, name))?;
        }
        for command in &consumer.sends {
            writeln!(out, "  {} --> {}", ids.of(kind, name), ids.of("command", command))?;
        }
    }
    for (destination, published) in &app.outboxes {
        let all = app.events.keys().copied().collect();
        for event in published.events.as_ref().unwrap_or(&all) {
            writeln!(out, "  {} --> {}", ids.event(*event), ids.of("outbox", destination))?;
        }
        for public in &published.types {
            writeln!(out, "  {} --> {}", ids.of("outbox", destination), ids.of("public", public))?;
        }
    }
    for (inbox, consumed) in &app.inboxes {
        for public in &consumed.types {
            writeln!(out, "  {} --> {}", ids.of("public", public), ids.of("inbox", inbox))?;
        }
    }
    Ok(())
}

/// The names of nodes: readable, so that a change of the wiring is a small change of the chart; and each its own.
#[derive(Default)]
pub(super) struct Ids {
    given: BTreeMap<(String, String), String>,
    taken: BTreeSet<String>,
}

impl Ids {
    pub(super) fn of(&mut self, kind: &str, name: &str) -> String {
        let key = (kind.to_owned(), name.to_owned());
        if let Some(id) = self.given.get(&key) {
            return id.clone();
        }
        let plain = |char: char| if char.is_ascii_alphanumeric() { char } else { '_' };
        let mut id: String = format!("{kind}_{name}").chars().map(plain).collect();
        while !self.taken.insert(id.clone()) {
            id.push('_');
        }
        self.given.insert(key, id.clone());
        id
    }

    /// Names of events are unique within a category.
    fn event(&mut self, (category, name): EventName) -> String {
        self.of("event", &format!("{category}/{name}"))
    }
}

/// A text in quotes.
pub(super) fn label(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "#quot;"))
}
