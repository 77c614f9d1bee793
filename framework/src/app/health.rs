//! Whether an app works, part by part.

use annalist_metrics::{Health, Metrics};

use crate::{
    command::Commands,
    metrics::APP_HEALTH,
    outbox::Relay,
    projection::{ProjectionControl, Projections},
    saga::{SagaHandle, Sagas},
};

/// Whether the parts of an app work.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct AppHealth {
    /// Each part: the store and the commands first.
    pub parts: Vec<PartHealth>,
}

/// Whether one part works.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PartHealth {
    /// What it is.
    pub part: Part,
    /// Its declared name, or its destination; empty for what an app has only one of.
    pub name: String,
    /// Whether it works.
    pub health: Health,
}

/// What a part of an app is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Part {
    /// The store.
    Store,
    /// What executes commands.
    Commands,
    /// A projection.
    Projection,
    /// A saga.
    Saga,
    /// The relay of an outbox.
    Outbox,
}

impl Part {
    /// As metrics name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Commands => "commands",
            Self::Projection => "projection",
            Self::Saga => "saga",
            Self::Outbox => "outbox",
        }
    }
}

impl AppHealth {
    pub(super) fn of(
        store: Health,
        commands: &Commands,
        projections: &Projections,
        sagas: &Sagas,
        relays: &[Relay],
    ) -> Self {
        let only = |part, health| PartHealth { part, name: String::new(), health };
        let commands =
            if commands.gate.is_closing() { Health::read_only("the app is shutting down") } else { Health::Healthy };
        let mut parts = vec![only(Part::Store, store), only(Part::Commands, commands)];
        let projection = |projection: ProjectionControl| PartHealth {
            part: Part::Projection,
            name: projection.name().to_owned(),
            health: projection.health(),
        };
        parts.extend(projections.all().map(projection));
        let saga =
            |saga: SagaHandle| PartHealth { part: Part::Saga, name: saga.name().to_owned(), health: saga.health() };
        parts.extend(sagas.all().map(saga));
        let relay =
            |relay: &Relay| PartHealth { part: Part::Outbox, name: relay.status().destination, health: relay.health() };
        parts.extend(relays.iter().map(relay));
        Self { parts }
    }

    /// Whether the app as a whole works. Without its store, or while it shuts down, it does not. A projection, a saga or a
    /// relay that is behind or has ended makes it [degraded](Health::Degraded) and no worse: the rest works. Whether a
    /// service can do without one of them, only the service can say: it looks at that [part](Self::part) itself.
    #[must_use]
    pub fn overall(&self) -> Health {
        let of_parts = self.parts.iter().map(|PartHealth { part, name, health }| match part {
            Part::Store | Part::Commands => health.clone(),
            _ if *health == Health::Healthy => Health::Healthy,
            _ => Health::degraded(format!("the {} `{name}` is {health}", part.name())),
        });
        // Of several that are equally bad the first is named.
        of_parts.reduce(|worst, next| if next.severity() > worst.severity() { next } else { worst }).unwrap_or_default()
    }

    /// The health of one part, by its name.
    #[must_use]
    pub fn part(&self, part: Part, name: &str) -> Option<&Health> {
        self.parts.iter().find(|of| of.part == part && of.name == name).map(|of| &of.health)
    }

    pub(super) fn collect(&self, metrics: &mut Metrics) {
        for PartHealth { part, name, health } in &self.parts {
            metrics.add_health(APP_HEALTH, &[part.name(), name], health);
        }
    }
}
