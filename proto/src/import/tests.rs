use annalist_core::{AppendError, EventId, EventType, NewEvent};

use super::*;

fn stream() -> StreamId {
    StreamId::new("order-1").expect("a valid name")
}

#[test]
fn what_cannot_be_imported_comes_as_what_it_was() {
    let (at, version) = (7, Version::new(3));
    let [time, after] = [5, 9].map(Timestamp::from_micros);
    for error in [
        ImportError::Gap { at, stream: stream(), version, head: Version::new(1) },
        ImportError::Taken { at, stream: stream(), version, there: EventId::generate() },
        ImportError::Time { at, time, after },
    ] {
        let status = import_status(&error);
        assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, error.to_string().as_str()));
        assert_eq!(import_error(&status), Some(error));
    }
    let other = import_status(&ImportError::Append(AppendError::Unavailable { why: "later".to_owned() }));
    assert_eq!((other.code(), import_error(&other)), (Code::Unavailable, None));
}

#[test]
fn a_past_event_comes_back_and_needs_its_id() {
    let event = NewEvent::new(EventId::generate(), EventType::new("placed").expect("a valid type"), "{}");
    let past = PastEvent { stream: stream(), version: Version::new(3), time: Timestamp::from_micros(5), event };
    let mut sent = v1::PastEvent::from(&past);
    assert_eq!(PastEvent::try_from(sent.clone()), Ok(past));
    sent.event.as_mut().expect("an event").id.clear();
    PastEvent::try_from(sent).expect_err("another id would be another event");
}
