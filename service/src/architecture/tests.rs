use std::time::Duration;

use super::{Architecture, Flaw, Heard, PROBES, Route, ServiceDescription};
use crate::{
    breaker::BreakerPolicy,
    outbound::{Bulkhead, Clients, RetryBudget, Timeouts},
};

fn service(name: &str) -> ServiceDescription {
    let mut service = ServiceDescription::new(name).purpose("it is there for a test").store(format!("{name}/data"));
    service.probes = PROBES.map(str::to_owned).into();
    service.request_timeout = Duration::from_secs(10);
    service
}

/// What a service calls, each with its promise in milliseconds.
fn calling(name: &str, callees: &[(&str, Option<u64>)]) -> ServiceDescription {
    let clients = Clients::default();
    for (callee, sla) in callees {
        let client = clients.client(*callee, "http://localhost").unwrap();
        let client = client.timeout(Duration::from_millis(50)).retry_budget(RetryBudget::default());
        let client = client.breaker(BreakerPolicy::default()).bulkhead(Bulkhead::new(8)).no_fallback("a test");
        let client = match sla {
            Some(sla) => client.sla(Duration::from_millis(*sla)),
            None => client,
        };
        client.build().unwrap();
    }
    ServiceDescription { calls: clients.describe(), ..service(name) }
}

fn publishing(name: &str, destination: &str, of_type: &str) -> ServiceDescription {
    ServiceDescription { publishes: [(destination.to_owned(), [of_type.to_owned()].into())].into(), ..service(name) }
}

fn hearing(name: &str, source: &str, of_type: &str) -> ServiceDescription {
    let heard = Heard { inbox: "an-inbox".to_owned(), source: source.to_owned(), types: [of_type.to_owned()].into() };
    ServiceDescription { hears: vec![heard], ..service(name) }
}

#[track_caller]
fn flaws<const N: usize>(services: [ServiceDescription; N]) -> Vec<String> {
    let architecture = Architecture::of(services);
    let flaws = architecture.flaws();
    assert_eq!(architecture.document("A system").err(), (!flaws.is_empty()).then(|| flaws.clone()));
    flaws.iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_has_two_owners() {
    assert_eq!(flaws([service("a"), service("b")]), [] as [String; 0]);
    let said = flaws([service("a").store("data"), service("b").store("data")]);
    assert_eq!(said, ["store `data` has two owners, a and b: give it to one, and let the other listen or ask"]);
    let said = flaws([publishing("a", "nats:A", "a.x.v1"), publishing("b", "nats:A", "a.x.v1")]);
    assert_eq!(said.len(), 2);
    assert!(said[0].starts_with("destination `nats:A`") && said[1].starts_with("event type `a.x.v1`"), "{said:?}");
    assert!(flaws([service("a"), service("a").store("elsewhere")])[0].starts_with("service `a` has two owners"));
}

#[test]
fn nobody_waits_in_a_circle() {
    let sla = Some(100);
    let line = [calling("a", &[("b", sla), ("c", sla)]), calling("b", &[("c", sla)]), service("c")];
    assert_eq!(flaws(line), [] as [String; 0]);
    let circle = [calling("a", &[("b", sla)]), calling("b", &[("c", sla)]), calling("c", &[("a", sla), ("b", sla)])];
    let circles = Architecture::of(circle).flaws();
    let path = |names: &[&str]| Flaw::Circle { path: names.iter().map(|name| (*name).to_owned()).collect() };
    assert_eq!(circles, [path(&["a", "b", "c", "a"]), path(&["b", "c", "b"])]);
    assert_eq!(flaws([calling("a", &[("a", sla)])]).len(), 1, "nor for itself");
}

#[test]
fn whoever_is_waited_for_promises_an_answer_within_a_hundred_milliseconds() {
    assert_eq!(flaws([calling("a", &[("outside", Some(100))])]), [] as [String; 0]);
    assert!(flaws([calling("a", &[("outside", Some(101))])])[0].contains("promises an answer within 101ms"));
    assert!(flaws([calling("a", &[("b", None)]), service("b")])[0].contains("promises nothing"));
}

#[test]
fn calls_are_guarded() {
    let guarded = |timeouts: Timeouts, budget: RetryBudget, breaker: BreakerPolicy, places: usize, why: &str| {
        let clients = Clients::default();
        let client = clients.client("outside", "http://localhost").unwrap().timeout(timeouts).retry_budget(budget);
        let client = client.breaker(breaker).bulkhead(Bulkhead::new(places)).no_fallback(why);
        client.sla(Duration::from_millis(50)).build().unwrap();
        flaws([ServiceDescription { calls: clients.describe(), ..service("a") }])
    };
    let (timeouts, budget) = (Timeouts::per_attempt(Duration::from_millis(50)), RetryBudget::default());
    let breaker = BreakerPolicy::default();
    assert_eq!(guarded(timeouts, budget, breaker, 8, "nobody else knows"), [] as [String; 0]);
    for (said, missing) in [
        (guarded(timeouts.total(Duration::from_secs(11)), budget, breaker, 8, "why"), "its time-out is longer"),
        (guarded(timeouts, budget.percent(200, 10), breaker, 8, "why"), "more retries than calls"),
        (guarded(timeouts, budget, BreakerPolicy::consecutive(u32::MAX), 8, "why"), "never opens"),
        (guarded(timeouts, budget, breaker, usize::MAX, "why"), "no bound"),
        (guarded(timeouts, budget, breaker, 8, " "), "does not say why"),
    ] {
        assert!(said.len() == 1 && said[0].contains(missing), "{missing}: {said:?}");
    }
}

#[test]
fn each_service_has_its_probes_and_hears_what_somebody_says() {
    let mut blind = service("a");
    blind.probes.remove("/health/ready");
    assert!(flaws([blind])[0].contains("does not answer the probe `/health/ready`"));
    assert_eq!(flaws([ServiceDescription::new("a")]).len(), 3);
    let heard = [publishing("a", "nats:A", "a.x.v1"), hearing("b", "nats:A", "a.x.v1")];
    assert_eq!(flaws(heard), [] as [String; 0]);
    let said = flaws([publishing("a", "nats:A", "a.x.v2"), hearing("b", "nats:A", "a.x.v1")]);
    assert_eq!(said, ["the inbox `an-inbox` of b handles `a.x.v1` from nats:A, which nobody publishes there"]);
}

#[test]
fn the_document_says_who_speaks_to_whom_and_what_then_holds() {
    let route = Route { method: "GET".to_owned(), path: "/v1/x".to_owned(), summary: "Says `a|b`".to_owned() };
    let mut listening = hearing("b", "nats:A", "a.x.v1").routes([route]);
    listening.calls = calling("b", &[("outside", Some(80))]).calls;
    let architecture = Architecture::of([listening, publishing("a", "nats:A", "a.x.v1")]);
    let text = architecture.document("A system").unwrap();
    for line in [
        "# A system",
        "  b ==> outside",
        "  outside{{\"outside, somebody else's\"}}",
        "  a -.-> nats_A>\"nats:A\"]",
        "  nats_A -.-> b",
        "| b | outside | synchronous | HTTP | calls of its API | 80ms |",
        "| a | b | asynchronous | `nats:A` to the inbox `an-inbox` | `a.x.v1` | |",
        "| b | `GET /v1/x` | Says `a\\|b` |",
        "| b | outside | 50ms, in all 150ms | 3 attempts, 20 % of the calls and 10 a second at most | opens after 5 failures in a row, for 30s, then asks by 3 | 8 | a test |",
        "None needs another to start or to be ready. Of somebody else they need: outside.",
    ] {
        assert!(text.lines().any(|written| written == line), "`{line}` is not in\n{text}");
    }
}
