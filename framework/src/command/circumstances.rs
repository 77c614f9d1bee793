//! What a command is told by where it is executed, beside what its caller says.

use std::{fmt, sync::Arc};

use annalist_core::Metadata;

use super::Deadline;
use crate::trace::TraceContext;

/// What surrounds the caller of a command: the request of which the command is part, for example. What the caller says of a
/// command itself goes before it, field by field.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Circumstances {
    /// Who, in whose name, as part of what.
    pub metadata: Metadata,
    /// Until when to wait for it.
    pub deadline: Option<Deadline>,
}

/// Where an app finds the circumstances of a caller.
#[derive(Clone)]
pub(crate) struct Surroundings(Arc<dyn Fn() -> Circumstances + Send + Sync>);

impl Surroundings {
    pub(crate) fn new(look: impl Fn() -> Circumstances + Send + Sync + 'static) -> Self {
        Self(Arc::new(look))
    }

    /// Fills in what the caller has not said. The trace is handed back: the span of the command, if something follows spans,
    /// knows better where in the trace it is.
    pub(super) fn fill_in(&self, metadata: &mut Metadata, deadline: &mut Option<Deadline>) -> Option<TraceContext> {
        let Circumstances { metadata: around, deadline: until } = (self.0)();
        let Metadata { correlation_id, causation_id, actor, tenant, traceparent, tracestate, pairs } = around;
        or(&mut metadata.correlation_id, correlation_id);
        or(&mut metadata.causation_id, causation_id);
        or(&mut metadata.actor, actor);
        or(&mut metadata.tenant, tenant);
        for (name, value) in pairs {
            metadata.pairs.entry(name).or_insert(value);
        }
        *deadline = deadline.or(until);
        traceparent.map(|traceparent| TraceContext { traceparent, tracestate })
    }
}

fn or(said: &mut Option<String>, around: Option<String>) {
    if said.is_none() {
        *said = around;
    }
}

impl Default for Surroundings {
    fn default() -> Self {
        Self::new(Circumstances::default)
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").finish_non_exhaustive()
    }
}
