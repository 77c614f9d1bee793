//! Sagas through the public interface: a transfer with compensation and deadline, killed after each record; quarantine,
//! timers, versions, what people do by hand; workflows.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod bank;
mod cut;
mod fulfilment;
#[path = "../../../tests/shared/restoring.rs"]
mod restoring;
mod support;
mod transfer;

mod crashes;
mod interleavings;
mod kit;
mod restored;
mod running;
mod simulated;
mod workflows;
