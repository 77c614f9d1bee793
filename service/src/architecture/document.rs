//! The document of an architecture, in Markdown.

use std::{
    collections::BTreeSet,
    fmt::{self, Write},
};

use super::{Heard, ServiceDescription};

const HEAD: &str = "<!-- Written by a test from what the services register: `ANNALIST_LOCK=update cargo test`. Edit those, not this. -->";

pub(super) fn write(title: &str, services: &[ServiceDescription]) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    _ = all(title, services, &mut text);
    text
}

fn all(title: &str, services: &[ServiceDescription], text: &mut String) -> fmt::Result {
    writeln!(text, "# {title}\n\n{HEAD}\n")?;
    boundaries(services, text)?;
    contexts(services, text)?;
    communication(services, text)?;
    asked(services, text)?;
    ownership(services, text)?;
    resilience(services, text)?;
    requirements(services, text)
}

/// Whoever is called and is none of the services.
fn others(services: &[ServiceDescription]) -> BTreeSet<&str> {
    let own = |name: &&str| services.iter().any(|service| service.name == **name);
    let called = services.iter().flat_map(|service| &service.calls).map(|call| call.name.as_str());
    called.filter(|name| !own(name)).collect()
}

fn id(name: &str) -> String {
    name.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).collect()
}

fn boundaries(services: &[ServiceDescription], text: &mut String) -> fmt::Result {
    writeln!(text, "## Service boundaries\n\n```mermaid\nflowchart LR")?;
    for ServiceDescription { name, store, views, .. } in services {
        let id = id(name);
        writeln!(text, "  subgraph {id}[\"{name}\"]\n    {id}_store[(\"{store}\")]")?;
        if !views.is_empty() {
            let views: Vec<_> = views.iter().map(String::as_str).collect();
            writeln!(text, "    {id}_views[/\"{}\"/]\n    {id}_store --> {id}_views", views.join(", "))?;
        }
        writeln!(text, "  end")?;
    }
    for other in others(services) {
        writeln!(text, "  {}{{{{\"{other}, somebody else's\"}}}}", id(other))?;
    }
    for service in services {
        for destination in service.publishes.keys() {
            writeln!(text, "  {} -.-> {}>\"{destination}\"]", id(&service.name), id(destination))?;
        }
        for Heard { source, .. } in &service.hears {
            writeln!(text, "  {} -.-> {}", id(source), id(&service.name))?;
        }
        for call in &service.calls {
            writeln!(text, "  {} ==> {}", id(&service.name), id(&call.name))?;
        }
    }
    writeln!(text, "```\n\nA thick arrow waits for an answer; a dotted one is a message that may come later.\n")
}

fn contexts(services: &[ServiceDescription], text: &mut String) -> fmt::Result {
    writeln!(
        text,
        "## Bounded contexts\n\n| service | what it is there for | records | sees through | its public language |"
    )?;
    writeln!(text, "|---|---|---|---|---|")?;
    for service in services {
        let language: BTreeSet<_> = service.publishes.values().flatten().collect();
        let (name, purpose) = (&service.name, &service.purpose);
        let (records, processes) = (code(&service.categories), code(&service.processes));
        writeln!(text, "| {name} | {purpose} | {records} | {processes} | {} |", code(language))?;
    }
    text.write_char('\n')
}

fn communication(services: &[ServiceDescription], text: &mut String) -> fmt::Result {
    writeln!(
        text,
        "## Communication\n\n| from | to | kind | protocol | what | answer within |\n|---|---|---|---|---|---|"
    )?;
    for service in services {
        let to = &service.name;
        for call in &service.calls {
            let protocol = call.base.split(':').next().unwrap_or_default().to_uppercase();
            let sla = call.sla.map(|sla| format!("{sla:?}")).unwrap_or_default();
            writeln!(text, "| {to} | {} | synchronous | {protocol} | calls of its API | {sla} |", call.name)?;
        }
        for Heard { inbox, source, types } in &service.hears {
            let publisher = services.iter().find(|other| other.publishes.contains_key(source));
            let from = publisher.map_or("", |publisher| &publisher.name);
            let types = code(types);
            writeln!(text, "| {from} | {to} | asynchronous | `{source}` to the inbox `{inbox}` | {types} | |")?;
        }
    }
    text.write_char('\n')
}

fn asked(services: &[ServiceDescription], text: &mut String) -> fmt::Result {
    writeln!(text, "## What can be asked of each service\n\n| service | request | what it does |\n|---|---|---|")?;
    for service in services {
        for route in &service.routes {
            let summary = route.summary.replace('|', "\\|");
            writeln!(text, "| {} | `{} {}` | {summary} |", service.name, route.method, route.path)?;
        }
    }
    text.write_char('\n')
}

fn ownership(services: &[ServiceDescription], text: &mut String) -> fmt::Result {
    writeln!(text, "## Data ownership and consistency\n\n| data | owner | consistency |\n|---|---|---|")?;
    for service in services {
        let ServiceDescription { name, store, categories, views, publishes, lag_max, .. } = service;
        let records = code(categories);
        writeln!(
            text,
            "| store `{store}`: streams of {records} | {name} alone | strong: decided on what is durable, one after the other for each stream |"
        )?;
        for view in views {
            writeln!(
                text,
                "| view `{view}` | {name} alone | eventual: not ready when more than {lag_max:?} behind; `after(cursor)` waits for one's own write |"
            )?;
        }
        for destination in publishes.keys() {
            writeln!(
                text,
                "| messages in `{destination}` | {name} publishes, others read | eventual: in the order of the log, each once in the stream |"
            )?;
        }
    }
    text.write_char('\n')
}

fn resilience(services: &[ServiceDescription], text: &mut String) -> fmt::Result {
    writeln!(
        text,
        "## Resilience, for each point of integration\n\n| from | to | time-out | retries | breaker | at the same time | when there is no answer |\n|---|---|---|---|---|---|---|"
    )?;
    for service in services {
        for call in &service.calls {
            let (attempt, total) = (call.timeouts.attempt, call.timeouts.total);
            let budget = &call.retry_budget;
            let retries = match budget.attempts_max {
                0 | 1 => "none".to_owned(),
                attempts => format!(
                    "{attempts} attempts, {} % of the calls and {} a second at most",
                    budget.percent, budget.per_second_min
                ),
            };
            let fallback = call.no_fallback.as_deref().unwrap_or("a fallback answers, and the answer says so");
            let (name, to) = (&service.name, &call.name);
            let (breaker, calls) = (&call.breaker, call.bulkhead.calls_max);
            writeln!(
                text,
                "| {name} | {to} | {attempt:?}, in all {total:?} | {retries} | {breaker} | {calls} | {fallback} |"
            )?;
        }
    }
    for service in services {
        let name = &service.name;
        for destination in service.publishes.keys() {
            writeln!(
                text,
                "| {name} | `{destination}` | none | until it is acknowledged, in order | | one relay, fenced by the numbers of its messages | the log keeps it; the service is degraded, not unready |"
            )?;
        }
        for Heard { inbox, source, .. } in &service.hears {
            writeln!(
                text,
                "| `{source}` | {name}, `{inbox}` | none | with growing pauses, its key waits; then a dead letter | | each message's commands once, in order for each key | the broker keeps it |"
            )?;
        }
    }
    text.write_char('\n')
}

fn requirements(services: &[ServiceDescription], text: &mut String) -> fmt::Result {
    writeln!(
        text,
        "## Deployment\n\n| service | processes | disk | request within | end within | probes |\n|---|---|---|---|---|---|"
    )?;
    for service in services {
        let ServiceDescription { name, store, request_timeout, ending, probes, .. } = service;
        let probes = code(probes);
        writeln!(
            text,
            "| {name} | one, which owns its store | `{store}`, kept, for one pod at a time | {request_timeout:?} | {ending:?} | {probes} |"
        )?;
    }
    let outside: Vec<_> = others(services).into_iter().collect();
    let needs = if outside.is_empty() { "nobody".to_owned() } else { outside.join(", ") };
    writeln!(text, "\nNone needs another to start or to be ready. Of somebody else they need: {needs}.")
}

fn code<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
