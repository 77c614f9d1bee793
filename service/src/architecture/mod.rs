//! What a system of services is made of, from what each of them registers in code: one document for people, and the rules that
//! no system may break.
//!
//! [`Service::describe`](crate::Service::describe) says of one service what it owns, publishes, hears, calls and answers;
//! [`Architecture`] puts them together.

mod check;
mod document;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use annalist::Description;

pub use check::Flaw;

use crate::outbound::ClientDescription;

/// The probes that a service must answer: what Kubernetes asks at the start, all the time, and before it sends requests.
pub(crate) const PROBES: [&str; 3] = ["/health/startup", "/health/live", "/health/ready"];

/// One service of a system. Whoever makes it otherwise than by [`Service`](crate::Service) fills it in by hand.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct ServiceDescription {
    /// Its name.
    pub name: String,
    /// What it is there for, and nobody else: its bounded context, in a sentence.
    pub purpose: String,
    /// Where its store is. No other service may have that.
    pub store: String,
    /// The categories of the streams that it records.
    pub categories: BTreeSet<String>,
    /// Its views.
    pub views: BTreeSet<String>,
    /// Its sagas and workflows: what it sees through over time.
    pub processes: BTreeSet<String>,
    /// What can be asked of it.
    pub routes: Vec<Route>,
    /// The integration events that it publishes, `name.vN`, by destination.
    pub publishes: BTreeMap<String, BTreeSet<String>>,
    /// What it hears.
    pub hears: Vec<Heard>,
    /// What it calls and waits for.
    pub calls: Vec<ClientDescription>,
    /// The paths of its probes.
    pub probes: BTreeSet<String>,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// How long its end may take.
    pub ending: Duration,
    /// How far a view may be behind while the service is ready.
    pub lag_max: Duration,
}

/// Something that can be asked of a service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// The path, as it is declared.
    pub path: String,
    /// What it does.
    pub summary: String,
}

/// An inbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heard {
    /// Its name.
    pub inbox: String,
    /// What it consumes from; what somebody else publishes to.
    pub source: String,
    /// The types of messages that it handles.
    pub types: BTreeSet<String>,
}

impl ServiceDescription {
    /// A service of which nothing else is known yet: it has no probes either.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            store: name.clone(),
            name,
            purpose: String::new(),
            categories: BTreeSet::new(),
            views: BTreeSet::new(),
            processes: BTreeSet::new(),
            routes: Vec::new(),
            publishes: BTreeMap::new(),
            hears: Vec::new(),
            calls: Vec::new(),
            probes: BTreeSet::new(),
            request_timeout: Duration::ZERO,
            ending: Duration::ZERO,
            lag_max: Duration::ZERO,
        }
    }

    /// What it is there for.
    #[must_use]
    pub fn purpose(self, purpose: impl Into<String>) -> Self {
        Self { purpose: purpose.into(), ..self }
    }

    /// Where its store is.
    #[must_use]
    pub fn store(self, store: impl Into<String>) -> Self {
        Self { store: store.into(), ..self }
    }

    /// What can be asked of it.
    #[must_use]
    pub fn routes(self, routes: impl IntoIterator<Item = Route>) -> Self {
        Self { routes: routes.into_iter().collect(), ..self }
    }

    /// Fills in what the wiring of its app says.
    pub(crate) fn app(mut self, app: &Description) -> Self {
        let owned = |name: &str| name.to_owned();
        self.categories = app.categories().into_iter().map(owned).collect();
        self.views = app.consumers("projection").map(owned).collect();
        self.processes = app.consumers("saga").chain(app.consumers("workflow")).map(owned).collect();
        self.publishes = app.outboxes().map(|(to, types)| (to.to_owned(), types.clone())).collect();
        let heard = |(inbox, source, types): (&str, &str, &BTreeSet<String>)| Heard {
            inbox: inbox.to_owned(),
            source: source.to_owned(),
            types: types.clone(),
        };
        self.hears = app.inboxes().map(heard).collect();
        self
    }
}

/// All services of a system.
#[derive(Clone, PartialEq, Debug)]
pub struct Architecture {
    services: Vec<ServiceDescription>,
}

impl Architecture {
    /// A system of these services. Whoever they call besides is somebody else's.
    #[must_use]
    pub fn of(services: impl IntoIterator<Item = ServiceDescription>) -> Self {
        let mut services: Vec<_> = services.into_iter().collect();
        services.sort_by(|one, other| one.name.cmp(&other.name));
        Self { services }
    }

    /// What is wrong with it: two owners of something, calls in circles, calls that may take long or take the caller with
    /// them, probes that are missing, messages that nobody publishes.
    #[must_use]
    pub fn flaws(&self) -> Vec<Flaw> {
        check::flaws(&self.services)
    }

    /// The document, in Markdown: boundaries, communication, ownership, resilience, requirements.
    ///
    /// # Errors
    /// What is wrong with the system: of one that must not be there is no document.
    pub fn document(&self, title: &str) -> Result<String, Vec<Flaw>> {
        let flaws = self.flaws();
        if flaws.is_empty() { Ok(document::write(title, &self.services)) } else { Err(flaws) }
    }

    /// In a test: compares the document at `path` with this system; with `ANNALIST_LOCK=update` in the environment it writes
    /// it.
    ///
    /// # Panics
    /// When the document says something else, when it cannot be read or written, or when something is wrong with the system:
    /// the test fails.
    #[track_caller]
    pub fn check(&self, title: &str, path: impl AsRef<Path>) {
        let text = self.document(title).unwrap_or_else(|flaws| {
            let flaws: Vec<_> = flaws.iter().map(ToString::to_string).collect();
            panic!("what must not be in an architecture:\n{}", flaws.join("\n"))
        });
        if let Err(wrong) = annalist::evolution::check_document(path.as_ref(), &text) {
            panic!("{wrong}");
        }
    }
}
