//! Events that a saga was told to leave out because it cannot read them.
//!
//! What was skipped, by whom and why is an event, in a stream of the saga. Its key is what the intake looks for when it
//! comes to the event again, after a restart.

use annalist_core::{
    Append, Cursor, EventId, EventStore, EventType, Expected, Fingerprint, Invalid, Key, Metadata, NewEvent, StreamId,
};
use serde::Serialize;

use super::{
    halt::{Halt, Trouble},
    record::Audit,
    status::BlockedBy,
};

/// The category of the streams that say what was skipped, one for each saga. What stands before the name of a saga in the
/// category of its instances, without a name: no saga is called so. It never changes.
const CATEGORY: &str = "saga.";

/// The event that says it. It never changes.
const EVENT_SKIPPED: &str = "saga-event-skipped";

/// What it says. The names of its fields stand on disk and never change.
#[derive(Serialize)]
struct EventSkipped<'a> {
    #[serde(flatten)]
    event: &'a BlockedBy,
    audit: &'a Audit,
}

/// Whether someone has said that the saga is to leave this event out.
pub(super) async fn is_skipped(events: &dyn EventStore, saga: &str, event: EventId) -> Result<bool, Trouble> {
    let (_, key) = names(saga, event).map_err(invalid)?;
    Ok(events.outcome(&key).await?.is_some())
}

/// Records that the saga is to leave this event out. To say it again changes nothing.
pub(super) async fn record(
    events: &dyn EventStore,
    saga: &str,
    event: &BlockedBy,
    audit: &Audit,
    id: EventId,
) -> Result<Cursor, Trouble> {
    let (stream, key) = names(saga, event.id).map_err(invalid)?;
    let event_type = EventType::new(EVENT_SKIPPED).map_err(invalid)?;
    let payload = serde_json::to_vec(&EventSkipped { event, audit })
        .map_err(|error| Halt::Failed(format!("what is skipped cannot be written as JSON: {error}")))?;
    let metadata =
        Metadata { causation_id: Some(event.id.to_string()), actor: Some(audit.who.clone()), ..Metadata::default() };
    let skipped = NewEvent::new(id, event_type, payload).with_metadata(metadata);
    let append = Append::new().events(stream, Expected::Any, [skipped]);
    let append = append.keyed(key, Fingerprint::new(*event.id.uuid().as_bytes()), "");
    Ok(events.append(append).await?.cursor)
}

fn names(saga: &str, event: EventId) -> Result<(StreamId, Key), Invalid> {
    let stream = StreamId::of(CATEGORY, saga)?;
    let key = Key::new(stream.as_str(), format!("skip/{event}"))?;
    Ok((stream, key))
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
fn invalid(invalid: Invalid) -> Trouble {
    Halt::Failed(format!("an event cannot be skipped: {invalid}")).into()
}
