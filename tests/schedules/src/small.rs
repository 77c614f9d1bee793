//! Single hand-offs, small enough for every schedule that there is; and the doubles, on which all else rests.

#![expect(clippy::missing_panics_doc, reason = "that is how they fail")]

use std::sync::Arc;

use annalist_core::{Epoch, Position, Version};
use shuttle::{
    future::{block_on, spawn},
    thread,
};

use crate::{
    concurrency::{bounded, oneshot, watch},
    format::{Kind, Totals},
    indexer,
    options::StoreOptions,
    recovery,
    rocks::{Disk, Faults, Tier},
    shared::Shared,
    tail::{Generation, Seal, View},
};

const FIRST: Position = Position::new(1);

/// What the parts of a store share, without any of its threads.
fn shared() -> Arc<Shared> {
    recovery::name_disk(&Disk::new(Faults::default()));
    recovery::open("/".as_ref(), StoreOptions::default()).expect("a new store opens").shared
}

/// Who waits for the watermark is woken when it moves.
pub fn waits_for_the_watermark() {
    let shared = shared();
    let moves = Arc::clone(&shared);
    let mover = thread::spawn(move || moves.publish(Vec::new(), FIRST, Totals::default()));
    shared.wait_until(|shared| shared.watermark() >= FIRST);
    mover.join().expect("it does not panic");
}

/// Who waits for the watermark is woken when it will never move.
pub fn waits_for_a_failure() {
    let shared = shared();
    let fails = Arc::clone(&shared);
    let failure = thread::spawn(move || fails.poison("the disk failed".to_owned()));
    shared.wait_until(|shared| shared.watermark() >= FIRST || shared.poisoned().is_some());
    failure.join().expect("it does not panic");
}

/// Two threads change the view: neither change is lost. It always has a live generation.
pub fn changes_of_the_view() {
    let shared = shared();
    shared.change_view(|view| view.with_live(Arc::new(Generation::behind(FIRST, Totals::default()))));
    let drops = Arc::clone(&shared);
    let dropper = thread::spawn(move || drops.change_view(View::without_oldest));
    let next = Arc::new(Generation::behind(FIRST.next(), Totals::default()));
    shared.change_view(|view| view.with_live(Arc::clone(&next)));
    dropper.join().expect("it does not panic");
    let view = shared.view.load_full();
    assert_eq!((view.mark(), view.live().floor(), view.frozen_count()), (FIRST, FIRST.next(), 1));
}

/// A view shows all up to the watermark that comes with it, once, while generation after generation goes to the index.
pub fn views_cover_the_watermark() {
    const STREAM: &str = "a-1";
    let shared = shared();
    let writes = Arc::clone(&shared);
    let writer = thread::spawn(move || {
        for number in 1..=3 {
            let (position, version) = (Position::new(number), Version::new(number));
            let live = Arc::clone(writes.view.load().live());
            live.add_events(STREAM, version, &[(position, 0)], 1);
            live.add_to_list(Kind::Category, "a", &[(position, 0)]);
            writes.publish(Vec::new(), position, Totals::default());
            let seal = Seal { position, checksum: 0 };
            live.freeze(seal);
            let next = Arc::new(Generation::behind(position, live.totals()));
            writes.change_view(|view| view.with_live(Arc::clone(&next)));
            writes.index.trust(position);
            indexer::add_chunk(&writes.index, &live, seal, Epoch::FIRST).expect("the disk takes it");
            writes.change_view(View::without_oldest);
        }
    });
    for _ in 0..3 {
        let (seen, view) = shared.durable_view();
        let head = view.head(&shared.index, STREAM, seen, Tier::Disk).expect("it can be read");
        assert_eq!(head.get(), seen.get(), "the last version, where each position has one");
        let all = (Version::new(1), Version::MAX);
        let found = view.versions(&shared.index, STREAM, all, (seen, usize::MAX), Tier::Disk).expect("it can be read");
        assert!(found.iter().map(|(version, _)| version.get()).eq(1..=seen.get()), "{found:?} up to {seen}");
        let (mut places, range) = (Vec::new(), (Position::new(1), seen));
        let (disk, list) = (Some((&shared.index, Tier::Disk)), (Kind::Category, "a"));
        view.places_forward(disk, list, range, usize::MAX, &mut places).expect("it can be read");
        assert!(places.iter().map(|(position, _)| position.get()).eq(1..=seen.get()), "{places:?} up to {seen}");
    }
    writer.join().expect("it does not panic");
}

/// A value that is sent once arrives, or comes back when nobody waits.
pub fn one_value() {
    let (sender, receiver) = oneshot::channel();
    let sent = thread::spawn(move || sender.send(7));
    assert_eq!(block_on(receiver).expect("it was sent"), 7);
    assert_eq!(sent.join().expect("it does not panic"), Ok(()));
    let (sender, receiver) = oneshot::channel::<u8>();
    let dropped = thread::spawn(move || drop(sender));
    assert!(block_on(receiver).is_err(), "nobody sends it");
    dropped.join().expect("it does not panic");
}

/// Who watches a value sees the last one, and then the end.
pub fn watched_values() {
    let sender = watch::Sender::new(0);
    let mut receiver = sender.subscribe();
    let watcher = spawn(async move {
        let mut last = 0;
        while receiver.changed().await.is_ok() {
            let next = *receiver.borrow_and_update();
            assert!(next >= last, "it goes back");
            last = next;
        }
        last
    });
    sender.send_replace(1);
    drop(sender);
    assert_eq!(block_on(watcher).expect("it ends"), 1);
}

/// A queue of one hands over everything in order, and then its end.
pub fn queued_values() {
    let (sender, receiver) = bounded(1);
    let filler = thread::spawn(move || {
        for item in 0..2 {
            assert!(sender.send(item).is_ok(), "somebody receives");
        }
    });
    assert_eq!(receiver.collect::<Vec<_>>(), [0, 1]);
    filler.join().expect("it does not panic");
}
