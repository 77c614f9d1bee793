//! The tables.

use std::{
    collections::BTreeSet,
    fmt::{Result, Write},
};

use super::{Description, EventName, heading};
use crate::event::{EventSchema, PayloadSchema};

pub(super) fn write(app: &Description, out: &mut impl Write) -> Result {
    if !app.commands.is_empty() {
        section(out, "Commands", &["command", "aggregate", "events of"])?;
        for (command, aggregates) in &app.commands {
            for aggregate in aggregates {
                let categories = app.aggregates.get(aggregate).into_iter().flatten();
                row(out, [code(command), (*aggregate).to_owned(), codes(categories)])?;
            }
        }
    }
    if !app.scopes.is_empty() {
        section(out, "Scopes", &["command", "scope", "rests on"])?;
        for ((scope, command), categories) in &app.scopes {
            row(out, [code(command), (*scope).to_owned(), codes(categories)])?;
        }
    }
    if !app.events.is_empty() {
        section(out, "Events", &["category", "event", "version", "payload", "tags"])?;
        for ((category, name), schema) in &app.events {
            let tags = codes(schema.tags);
            row(out, [code(category), code(name), versions(schema), payload(schema), tags])?;
        }
    }
    for kind in app.kinds() {
        let send = app.of_kind(kind).any(|(_, consumer)| !consumer.sends.is_empty());
        let columns = [kind, "version", "follows", "sends"];
        section(out, &heading(kind), if send { &columns } else { &columns[..3] })?;
        for (name, consumer) in app.of_kind(kind) {
            let (version, follows) = (consumer.version.to_string(), events(app, &consumer.events));
            if send {
                row(out, [code(name), version, follows, codes(&consumer.sends)])?;
            } else {
                row(out, [code(name), version, follows])?;
            }
        }
    }
    if !app.outboxes.is_empty() {
        section(out, "Outboxes", &["destination", "maps", "publishes"])?;
        for (destination, published) in &app.outboxes {
            let maps = published.events.as_ref().map_or("all events".to_owned(), |mapped| events(app, mapped));
            row(out, [code(destination), maps, codes(&published.types)])?;
        }
    }
    if !app.inboxes.is_empty() {
        section(out, "Inboxes", &["inbox", "consumes", "handles"])?;
        for (inbox, consumed) in &app.inboxes {
            row(out, [code(inbox), code(&consumed.source), codes(&consumed.types)])?;
        }
    }
    Ok(())
}

pub(super) fn section(out: &mut impl Write, title: &str, columns: &[&str]) -> Result {
    writeln!(out, "\n## {title}\n\n| {} |", columns.join(" | "))?;
    writeln!(out, "|{}", "---|".repeat(columns.len()))
}

pub(super) fn row<const N: usize>(out: &mut impl Write, cells: [String; N]) -> Result {
    let cells = cells.map(|cell| cell.replace('|', "\\|"));
    writeln!(out, "| {} |", cells.join(" | "))
}

pub(super) fn code(text: &str) -> String {
    format!("`{text}`")
}

fn codes(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    texts.into_iter().map(|text| code(text.as_ref())).collect::<Vec<_>>().join(", ")
}

/// `3, reads 1, 2`
fn versions(schema: &EventSchema) -> String {
    match schema.upcasts {
        [] => schema.version.to_string(),
        old => {
            let old: Vec<_> = old.iter().map(u16::to_string).collect();
            format!("{}, reads {}", schema.version, old.join(", "))
        }
    }
}

fn payload(schema: &EventSchema) -> String {
    match schema.payload {
        PayloadSchema::Unknown => "not described".to_owned(),
        PayloadSchema::Value(ty) => code(ty),
        PayloadSchema::Fields([]) => "empty".to_owned(),
        PayloadSchema::Fields(fields) => codes(fields.iter().map(|field| {
            let optional = if field.optional && !field.ty.starts_with("Option<") { ", optional" } else { "" };
            format!("{}: {}{optional}", field.name, field.ty)
        })),
    }
}

/// Events by name, or a whole category.
fn events(app: &Description, names: &BTreeSet<EventName>) -> String {
    let categories: BTreeSet<_> = names.iter().map(|(category, _)| *category).collect();
    let each = categories.into_iter().map(|category| {
        let of_category = |(own, _): &&EventName| *own == category;
        let named: Vec<_> = names.iter().filter(of_category).map(|(_, name)| *name).collect();
        if named.len() == app.events.keys().filter(of_category).count() {
            format!("all of {}", code(category))
        } else {
            format!("{} of {}", codes(named), code(category))
        }
    });
    each.collect::<Vec<_>>().join("; ")
}
