//! Damage is put into an open store below its back, and must be found where it is.

use std::{ops::ControlFlow, path::Path};

use annalist_core::{
    Append, EventId, EventStore as _, EventType, Expected, Fingerprint, Key, NewEvent, Position, StreamId, Tag,
};
use uuid::Uuid;

use crate::{Store, StoreOptions};
use annalist_core::{Part, Verified};

const APPENDS: u64 = 120;

fn options() -> StoreOptions {
    StoreOptions { index_chunk_events: 50, page_bytes: 512, ..StoreOptions::default() }
}

fn event(number: u64) -> NewEvent {
    let event_type = EventType::new(if number.is_multiple_of(3) { "third" } else { "other" }).expect("a name");
    NewEvent::new(EventId::new(Uuid::from_u128(u128::from(number))), event_type, vec![b'x'; 60])
        .with_tags([Tag::new(format!("tag:{}", number % 5)).expect("a tag")])
}

async fn filled(dir: &Path) -> Store {
    let store = Store::open_with(dir, options()).expect("the store opens");
    for number in 1..=APPENDS {
        let stream = StreamId::of("thing", number % 7).expect("a stream");
        let key = Key::new("test", number.to_string()).expect("a key");
        let append = Append::new().events(stream, Expected::Any, [event(2 * number), event(2 * number + 1)]);
        store.append(append.keyed(key, Fingerprint::new([7; 16]), Vec::new())).await.expect("it is recorded");
    }
    store
}

async fn verify(store: &Store, after: u64) -> Verified {
    let verified = store.verify(Position::new(after), |_| ControlFlow::Continue(())).await;
    verified.expect("the store can be verified")
}

fn parts(verified: &Verified) -> Vec<(Part, u64)> {
    verified.findings.iter().map(|finding| (finding.part, finding.position.get())).collect()
}

#[tokio::test]
async fn a_sound_store_is_sound_from_anywhere_and_after_reopening() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = filled(dir.path()).await;
    for after in [0, 1, 77, 239, 240] {
        let verified = verify(&store, after).await;
        assert_eq!(parts(&verified), [], "{verified:?}");
        assert_eq!((verified.through.get(), verified.is_complete()), (2 * APPENDS, true));
    }
    store.close().await.expect("it closes");
    let head = Store::rebuild_index(dir.path(), options(), |_| {}).expect("the index is rebuilt");
    assert_eq!(head.position.get(), 2 * APPENDS);
    let store = Store::open_with(dir.path(), options()).expect("it opens again");
    assert!(verify(&store, 0).await.is_sound());
    assert_eq!(store.streams(None, None, 100).await.expect("they are listed").len(), 7);
    assert_eq!(store.streams(Some("thing"), Some("thing-3"), 2).await.expect("they are listed").len(), 2);
    assert_eq!(store.streams(Some("thin"), None, 2).await.expect("they are listed"), []);
}

#[tokio::test]
async fn verifying_can_be_stopped() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = filled(dir.path()).await;
    let verified = store.verify(Position::ZERO, |_| ControlFlow::Break(())).await.expect("it stops");
    assert_eq!((verified.through, verified.is_complete()), (Position::ZERO, false));
}

#[tokio::test]
async fn each_kind_of_damage_to_the_log_is_found_once_and_where_it_is() {
    for (damage, found) in
        [("flip", "checksum"), ("count", "ends before its last record"), ("remove", "missing"), ("format", "format")]
    {
        let dir = tempfile::tempdir().expect("a folder");
        let store = filled(dir.path()).await;
        let log = &store.shared().expect("it is open").log;
        let page = log.page_with(Position::new(101)).expect("the page is there");
        let mut bytes = page.bytes().to_vec();
        match damage {
            "flip" => *bytes.last_mut().expect("it has bytes") ^= 1,
            "count" => bytes[5] ^= 0x40,
            "format" => bytes[0] ^= 0x40,
            _ => bytes.clear(),
        }
        log.damage(page.first(), &bytes);
        let verified = verify(&store, 0).await;
        assert_eq!(verified.findings_count, 1, "{damage}: {verified:?}");
        let finding = &verified.findings[0];
        assert_eq!(finding.part, Part::Log);
        // A page that promises more than it has lacks what would come next.
        assert!((page.first()..=page.last().next()).contains(&finding.position), "{finding:?}");
        assert!(finding.detail.contains(found), "{finding:?}");
        assert!(verified.is_complete());
        assert!(verify(&store, page.last().get()).await.is_sound(), "the rest is sound");
    }
}

#[tokio::test]
async fn an_index_with_too_little_or_too_much_is_found() {
    for damage in ["remove", "invent", "malform", "key"] {
        let dir = tempfile::tempdir().expect("a folder");
        let store = filled(dir.path()).await;
        let shared = store.shared().expect("it is open");
        shared.wait_until(|shared| shared.view.load().mark() >= Position::new(100));
        let row = |letter: &str, name: &str, first: u64| {
            [letter.as_bytes(), name.as_bytes(), &[0], &first.to_be_bytes()].concat()
        };
        match damage {
            "remove" => shared.index.damage(&row("t", "third", 2), None),
            "invent" => shared.index.damage(&row("g", "nowhere", 2), Some(&[1, 2, 0])),
            "malform" => shared.index.damage(&row("t", "third", 2), Some(&[9])),
            _ => shared.index.damage(b"ktest\x001", None),
        }
        let verified = verify(&store, 0).await;
        assert!(!verified.is_sound(), "{damage}");
        assert!(verified.findings.iter().all(|finding| finding.part == Part::Index), "{damage}: {verified:?}");
        drop(shared);
        store.close().await.expect("it closes");
        Store::rebuild_index(dir.path(), options(), |_| {}).expect("the index is rebuilt");
        let store = Store::open_with(dir.path(), options()).expect("it opens again");
        assert!(verify(&store, 0).await.is_sound(), "{damage}");
    }
}
