//! Annalist: an event-sourced CQRS framework.
//!
//! Begin with the [guide]: [the first aggregate](guide::chapter_1_first_aggregate),
//! [conflicts and repetitions](guide::chapter_2_conflicts), [evolving events](guide::chapter_3_evolving_events),
//! [projections](guide::chapter_4_projections), [rules across streams](guide::chapter_5_scopes),
//! [sagas](guide::chapter_6_sagas), [workflows](guide::chapter_7_workflows),
//! [between services](guide::chapter_8_between_services), [testing](guide::chapter_9_testing).

// Derived code names the crate, also in the crate's own tests.
#[cfg(test)]
extern crate self as annalist;

mod env;
mod metrics;
mod trace;

mod event;

mod aggregate;
mod command;

pub mod evolution;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub mod outbox;

pub mod inbox;

pub mod projection;
pub mod saga;
pub mod workflow;

mod describe;

mod app;

pub mod testing;

#[cfg(any(doc, doctest))]
pub mod guide;

pub use aggregate::{Aggregate, LoadError, Loaded, SnapshotPolicy, State, stream_of};
#[cfg(feature = "remote")]
pub use annalist_client::{AddressError, ApiKey, Identity, RemoteOptions};
pub use annalist_core::{
    Append, AppendError, Appended, Cursor, Delivery, EventId, EventStore, EventType, Expected, Invalid, Key, Metadata,
    NewEvent, Position, Query, QueryItem, Read, RecordedEvent, StoreError, StreamId, Tag, Timestamp, Version,
};
pub use annalist_macros::{Command, Event, Events};
pub use annalist_metrics::{Health, Metrics};
#[cfg(feature = "embedded")]
pub use annalist_store::{Durability, OpenError, StoreOptions};
pub use app::{App, AppBuilder, AppHealth, Part, PartHealth, StartError, Store};
pub use command::{
    Cause, Circumstances, Command, CommandError, CommandId, CommandInfo, CommandLayer, CommandOptions, CommandSet,
    Context, Deadline, Decide, Decision, Ended, Execute, ExecuteError, InScope, Next, On, Receipt, Refusal, Scope,
    Target, emit, emit_all, nothing,
};
pub use describe::Description;
pub use env::{Env, SystemEnv, TestEnv};
pub use event::{Declared, DecodeError, EncodeError, EventSet, Events, InStream, Recorded, Written};
pub use metrics::METRICS;
pub use trace::TraceContext;

/// The tour in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
