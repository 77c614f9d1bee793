//! Every error comes back as what it was.

use annalist_core::{Epoch, Query, StoreId};
use uuid::Uuid;

use super::*;

fn conditions() -> Vec<Condition> {
    ["a", "b"].map(|name| Condition { query: Query::category(name), after: Cursor::START }).to_vec()
}

fn back(error: &AppendError) -> Failed {
    let key = Key::new("scope", "id").expect("a valid key");
    Failed::of(append_status(error), &conditions(), Some(&key))
}

fn cursor(position: u64) -> Cursor {
    Cursor { store: StoreId::new(Uuid::from_u128(7)), epoch: Epoch::new(2), position: Position::new(position) }
}

fn rules() -> Vec<Invalid> {
    let value = || "some-value".to_owned();
    vec![
        Invalid::Empty { what: "stream" },
        Invalid::TooLong { what: "tag", bytes: 2000, bytes_max: 1024 },
        Invalid::ControlCharacter { what: "key", at: 3 },
        Invalid::Reserved { what: "event type", value: value() },
        Invalid::NoCategory { value: value() },
        Invalid::Category { value: value() },
        Invalid::EventVersionZero { name: value() },
        Invalid::EmptyAppend,
        Invalid::EmptyQuery,
        Invalid::TooMany { what: "items in one query", actual: 65, limit: 64 },
        Invalid::Other { why: "something else".to_owned() },
    ]
}

fn errors() -> Vec<(AppendError, Code)> {
    let why = || "the disk is full".to_owned();
    let stream = || StreamId::new("account-1").expect("a valid name");
    let conflict = |expected| AppendError::Conflict { stream: stream(), expected, actual: Version::new(4) };
    let key = Key::new("scope", "id").expect("a valid key");
    let mut errors = vec![
        (conflict(Expected::Any), Code::Aborted),
        (conflict(Expected::NoStream), Code::Aborted),
        (conflict(Expected::StreamExists), Code::Aborted),
        (conflict(Expected::Exact(Version::new(3))), Code::Aborted),
        (
            AppendError::ConditionFailed { number: 2, query: Query::category("b"), first: Position::new(9) },
            Code::Aborted,
        ),
        (AppendError::KeyReused { key }, Code::AlreadyExists),
        (AppendError::TooLarge { what: "bytes of one append", actual: 20, limit: 16 }, Code::InvalidArgument),
        (AppendError::Unavailable { why: why() }, Code::Unavailable),
        (AppendError::Unknown { why: why() }, Code::Unknown),
        (AppendError::Poisoned { reason: why() }, Code::FailedPrecondition),
        (StoreError::ForeignCursor { cursor: cursor(9), head: cursor(3) }.into(), Code::OutOfRange),
        (StoreError::Corrupt { position: Position::new(5), detail: why() }.into(), Code::DataLoss),
        (StoreError::Closed.into(), Code::Unavailable),
    ];
    errors.extend(rules().into_iter().map(|rule| (AppendError::Invalid(rule), Code::InvalidArgument)));
    errors
}

#[test]
fn every_error_comes_back_as_what_it_was() {
    for (error, code) in errors() {
        assert_eq!(append_status(&error).code(), code, "{error:?}");
        match back(&error) {
            Failed::Append(same) => assert_eq!(same, error),
            Failed::Other(status) => panic!("{error:?} came back as {status:?}"),
        }
    }
}

#[test]
fn every_error_comes_back_from_a_pipeline() {
    for (error, _) in errors() {
        let status = Status::from(v1::Refusal::from(append_status(&error)));
        let key = Key::new("scope", "id").expect("a valid key");
        match Failed::of(status, &conditions(), Some(&key)) {
            Failed::Append(same) => assert_eq!(same, error),
            Failed::Other(status) => panic!("{error:?} came back as {status:?}"),
        }
    }
    let denied = Status::from(v1::Refusal::from(Status::permission_denied("no")));
    assert_eq!((denied.code(), denied.message()), (Code::PermissionDenied, "no"), "also without a failure");
}

#[test]
fn what_the_core_speaks_of_is_known() {
    // Texts that errors of the core hold as constants, looked up in its sources.
    let sources = ["append.rs", "event.rs", "query.rs", "stream.rs"].map(|file| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src").join(file);
        std::fs::read_to_string(path).expect("the core's sources can be read")
    });
    let mut found = 0;
    for begin in ["text::check(\"", "at_most(\"", "what: \""] {
        for text in sources.iter().flat_map(|source| source.split(begin).skip(1)) {
            let what = text.split('"').next().unwrap_or_default();
            assert!(known(what).is_some(), "`{what}` is not in KNOWN");
            found += 1;
        }
    }
    assert!(found >= KNOWN.len(), "the texts were found: {found}");
}

#[test]
fn what_a_client_does_not_know_it_takes_for_what_the_message_says() {
    let kind = Kind::TooLarge(failure::TooLarge { what: "sheep".to_owned(), actual: 2, limit: 1 });
    let newer = status(Code::InvalidArgument, "too many sheep", kind);
    match Failed::of(newer, &[], None) {
        Failed::Append(AppendError::Invalid(Invalid::Other { why })) => assert_eq!(why, "too many sheep"),
        other => panic!("{other:?}"),
    }
    let nothing = Status::with_details(Code::Aborted, "a new kind", Vec::new().into());
    assert!(matches!(Failed::of(nothing, &[], None), Failed::Other(_)));
    let garbage = Status::with_details(Code::Aborted, "not a status", vec![0xff; 40].into());
    assert!(matches!(Failed::of(garbage, &[], None), Failed::Other(_)));
}

#[test]
fn errors_fit_into_headers() {
    let long = "ä".repeat(100_000);
    let status = append_status(&AppendError::Unavailable { why: long });
    assert!(status.message().ends_with('…') && status.message().len() <= TEXT_BYTES_MAX);
    let headers: usize = status.clone().into_http::<()>().headers().values().map(|value| value.as_bytes().len()).sum();
    assert!(headers < 16 * 1024, "{headers} bytes of headers");
    assert!(matches!(Failed::of(status, &[], None), Failed::Append(AppendError::Unavailable { .. })));
}

#[test]
fn reading_fails_in_the_words_of_reading() {
    let errors = [
        StoreError::Unavailable { why: "no".to_owned() },
        StoreError::Invalid(Invalid::EmptyQuery),
        StoreError::ForeignCursor { cursor: cursor(9), head: cursor(3) },
        StoreError::Corrupt { position: Position::new(5), detail: "bits".to_owned() },
        StoreError::Closed,
    ];
    for error in errors {
        assert_eq!(Failed::of_reading(store_status(&error)).expect("the store says so"), error);
    }
}
