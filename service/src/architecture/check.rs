//! What must not be in a system of services.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{PROBES, ServiceDescription};
use crate::{limits::SYNC_SLA_MAX, outbound::ClientDescription};

/// Something that must not be in a system of services. Each says what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// Two services have what one alone may have.
    #[error("{what} `{name}` has two owners, {first} and {second}: give it to one, and let the other listen or ask")]
    TwoOwners {
        /// The kind of thing: `store`, `destination`, `event type`, `service`.
        what: &'static str,
        /// Its name.
        name: String,
        /// Who has it.
        first: String,
        /// Who has it as well.
        second: String,
    },
    /// Services wait for each other in a circle: none of them works without all others.
    #[error("calls go in a circle, {}: let one of them hear of it by events instead", .path.join(" → "))]
    Circle {
        /// Who calls whom; the last is the first.
        path: Vec<String>,
    },
    /// Somebody waits for an answer that may take long.
    #[error(
        "{from} waits for {to}, {}: say by `.sla(..)` what it promises, at most {max:?}, or ask it by a message",
        .sla.map_or_else(|| "which promises nothing".to_owned(), |sla| format!("which promises an answer within {sla:?}")),
        max = SYNC_SLA_MAX
    )]
    Slow {
        /// Who waits.
        from: String,
        /// For whom.
        to: String,
        /// What that promises.
        sla: Option<Duration>,
    },
    /// A dependency that hangs or fails takes its caller with it.
    #[error("the calls of {from} to {to} are not guarded: {missing}")]
    Unguarded {
        /// Who calls.
        from: String,
        /// Whom.
        to: String,
        /// What is missing.
        missing: &'static str,
    },
    /// Nobody can see whether the service lives.
    #[error("{service} does not answer the probe `{probe}`: make it by `Service`, or answer it yourself")]
    NoProbe {
        /// The service.
        service: String,
        /// The path.
        probe: &'static str,
    },
    /// A message is waited for that nobody sends.
    #[error("the inbox `{inbox}` of {service} handles `{of_type}` from {from}, which nobody publishes there")]
    Unheard {
        /// Who listens.
        service: String,
        /// By which inbox.
        inbox: String,
        /// From where.
        from: String,
        /// What.
        of_type: String,
    },
}

pub(super) fn flaws(services: &[ServiceDescription]) -> Vec<Flaw> {
    let mut flaws = two_owners(services);
    flaws.extend(circles(services).into_iter().map(|path| Flaw::Circle { path }));
    for service in services {
        flaws.extend(service.calls.iter().flat_map(|call| of_call(service, call)));
        let missing = PROBES.into_iter().filter(|probe| !service.probes.contains(*probe));
        flaws.extend(missing.map(|probe| Flaw::NoProbe { service: service.name.clone(), probe }));
        flaws.extend(unheard(services, service));
    }
    flaws
}

fn two_owners(services: &[ServiceDescription]) -> Vec<Flaw> {
    let mut owners = BTreeMap::<(&'static str, &str), &str>::new();
    let mut flaws = Vec::new();
    for service in services {
        let published = service.publishes.iter();
        let types = published.clone().flat_map(|(_, types)| types.iter().map(|name| ("event type", name.as_str())));
        let destinations = published.map(|(destination, _)| ("destination", destination.as_str()));
        let own = [("service", service.name.as_str()), ("store", service.store.as_str())];
        for (what, name) in own.into_iter().chain(destinations).chain(types) {
            if let Some(first) = owners.insert((what, name), &service.name) {
                let (first, second) = (first.to_owned(), service.name.clone());
                flaws.push(Flaw::TwoOwners { what, name: name.to_owned(), first, second });
            }
        }
    }
    flaws
}

/// Circles of calls, each once, from the first of its services by name.
fn circles(services: &[ServiceDescription]) -> BTreeSet<Circle> {
    let calls: BTreeMap<&str, Vec<&str>> = services
        .iter()
        .map(|service| (service.name.as_str(), service.calls.iter().map(|call| call.name.as_str()).collect()))
        .collect();
    let mut found = BTreeSet::new();
    for service in services {
        follow(&calls, &mut vec![&service.name], &mut found);
    }
    found
}

type Circle = Vec<String>;

/// Follows calls from the end of `path`; whoever comes before its beginning by name begins circles of his own.
fn follow<'a>(calls: &BTreeMap<&'a str, Vec<&'a str>>, path: &mut Vec<&'a str>, found: &mut BTreeSet<Circle>) {
    let (Some(&first), Some(&last)) = (path.first(), path.last()) else { return };
    for &next in calls.get(last).into_iter().flatten() {
        if next == first {
            found.insert(path.iter().chain([&next]).map(|name| (*name).to_owned()).collect());
        } else if next > first && !path.contains(&next) {
            path.push(next);
            follow(calls, path, found);
            path.pop();
        }
    }
}

fn of_call(service: &ServiceDescription, call: &ClientDescription) -> Vec<Flaw> {
    let (from, to) = (|| service.name.clone(), || call.name.clone());
    let mut flaws = Vec::new();
    if call.sla.is_none_or(|sla| sla > SYNC_SLA_MAX) {
        flaws.push(Flaw::Slow { from: from(), to: to(), sla: call.sla });
    }
    let total = call.timeouts.total;
    let guards = [
        (total.is_zero() || total > service.request_timeout, "its time-out is longer than a request may take"),
        (call.retry_budget.percent > 100, "its budget lets it make more retries than calls"),
        (!call.breaker.opens(), "its breaker never opens"),
        (call.bulkhead.calls_max > BULKHEAD_MAX, "its bulkhead has no bound to speak of"),
        (
            call.no_fallback.as_ref().is_some_and(|reason| reason.trim().is_empty()),
            "it has no fallback and does not say why",
        ),
    ];
    flaws.extend(guards.into_iter().filter(|(missing, _)| *missing).map(|(_, missing)| Flaw::Unguarded {
        from: from(),
        to: to(),
        missing,
    }));
    flaws
}

/// More calls under way to one dependency than this are no bound: each holds a connection and a task.
const BULKHEAD_MAX: usize = 10_000;

fn unheard(services: &[ServiceDescription], service: &ServiceDescription) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    for heard in &service.hears {
        let publishers = services.iter().filter_map(|other| other.publishes.get(&heard.source));
        let published: BTreeSet<_> = publishers.flatten().collect();
        for of_type in heard.types.iter().filter(|of_type| !published.contains(of_type)) {
            let (service, inbox, from) = (service.name.clone(), heard.inbox.clone(), heard.source.clone());
            flaws.push(Flaw::Unheard { service, inbox, from, of_type: of_type.clone() });
        }
    }
    flaws
}
