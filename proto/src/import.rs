//! Events that were recorded elsewhere, and why they cannot be recorded here.

use annalist_core::{ImportError, Imported, Invalid, PastEvent, StreamId, Timestamp, Version};
use tonic::{Code, Status};
use v1::failure::{
    Kind, NotImportable,
    not_importable::{Gap, Reason, Taken, Time},
};

use crate::{
    cursor::{bytes_of, event_id, malformed, required},
    failure::{append_status, failure_in, status},
    v1,
};

impl From<&PastEvent> for v1::PastEvent {
    fn from(past: &PastEvent) -> Self {
        let PastEvent { stream, version, time, event } = past;
        let (stream, version, time_us) = (stream.to_string(), version.get(), time.as_micros());
        Self { stream, version, time_us, event: Some(event.into()) }
    }
}

impl TryFrom<v1::PastEvent> for PastEvent {
    type Error = Invalid;
    fn try_from(past: v1::PastEvent) -> Result<Self, Invalid> {
        let event = required("event", past.event)?;
        if event.id.is_empty() {
            return Err(malformed("an event that is imported has an id already; set it"));
        }
        Ok(Self {
            stream: StreamId::new(past.stream)?,
            version: Version::new(past.version),
            time: Timestamp::from_micros(past.time_us),
            event: event.try_into()?,
        })
    }
}

impl From<Imported> for v1::ImportResponse {
    fn from(imported: Imported) -> Self {
        let Imported { recorded, present, head } = imported;
        Self { recorded, present, head: Some(head.into()) }
    }
}

impl TryFrom<v1::ImportResponse> for Imported {
    type Error = Invalid;
    fn try_from(response: v1::ImportResponse) -> Result<Self, Invalid> {
        let v1::ImportResponse { recorded, present, head } = response;
        Ok(Self { recorded, present, head: required("head", head)?.try_into()? })
    }
}

/// The status that says why events were not imported.
#[must_use]
pub fn import_status(error: &ImportError) -> Status {
    let (at, stream, version, reason) = match error {
        ImportError::Gap { at, stream, version, head } => {
            (*at, stream.to_string(), version.get(), Reason::Gap(Gap { head: head.get() }))
        }
        ImportError::Taken { at, stream, version, there } => {
            (*at, stream.to_string(), version.get(), Reason::Taken(Taken { there: bytes_of(there.uuid()) }))
        }
        ImportError::Time { at, time, after } => {
            let (time_us, after_us) = (time.as_micros(), after.as_micros());
            (*at, String::new(), 0, Reason::Time(Time { time_us, after_us }))
        }
        ImportError::Append(error) => return append_status(error),
        other => return Status::failed_precondition(other.to_string()),
    };
    let at = u32::try_from(at).unwrap_or(u32::MAX);
    let failed = NotImportable { at, stream, version, reason: Some(reason) };
    status(Code::FailedPrecondition, &error.to_string(), Kind::NotImportable(failed))
}

/// Which event a status says cannot be imported, and why; `None` if it says anything else.
#[must_use]
pub fn import_error(status: &Status) -> Option<ImportError> {
    let Kind::NotImportable(NotImportable { at, stream, version, reason }) = failure_in(status)?.kind? else {
        return None;
    };
    let (at, version) = (usize::try_from(at).ok()?, Version::new(version));
    let stream = || StreamId::new(stream.clone()).ok();
    Some(match reason? {
        Reason::Gap(Gap { head }) => ImportError::Gap { at, stream: stream()?, version, head: Version::new(head) },
        Reason::Taken(Taken { there }) => {
            ImportError::Taken { at, stream: stream()?, version, there: event_id(&there).ok()? }
        }
        Reason::Time(Time { time_us, after_us }) => {
            let [time, after] = [time_us, after_us].map(Timestamp::from_micros);
            ImportError::Time { at, time, after }
        }
    })
}

#[cfg(test)]
mod tests;
