//! What groups keep ready together has a bound, and none is left without.

use annalist_core::{EventId, EventType, NewEvent, Position, StreamId, Timestamp, Version};
use proptest::prelude::*;

use super::*;

fn event(position: u64, bytes: usize) -> RecordedEvent {
    let new = NewEvent::new(EventId::generate(), EventType::new("placed").expect("a type"), vec![b'e'; bytes]);
    let stream = StreamId::new("order-1").expect("a name");
    RecordedEvent::record(&stream, &new, Position::new(position), Version::new(position), Timestamp::from_micros(0))
}

const BATCH: usize = 512 * 1024;

/// A group that reads ahead for as long as it may.
fn fill(ready: &mut Ready, from: u64) -> usize {
    let positions = (from..).take_while(|&position| {
        let room = ready.has_room();
        if room {
            ready.put(&event(position, BATCH));
        }
        room
    });
    positions.count()
}

#[test]
fn groups_share_a_bound_and_each_has_a_batch() {
    let all = ReadyBytes::default();
    let mut groups: Vec<Ready> = (0..100).map(|_| Ready::new(Arc::clone(&all))).collect();
    let batches: Vec<usize> = groups.iter_mut().map(|ready| fill(ready, 1)).collect();
    assert!(batches.iter().all(|count| *count > 0), "none is left without: {batches:?}");
    let (first, last) = (batches.first().expect("it is there"), batches.last().expect("it is there"));
    assert!(first * BATCH >= GROUP_READY_BYTES - BATCH && *last == 1, "who comes first has its own bound: {batches:?}");
    let together = all.load(Relaxed);
    let most = GROUPS_READY_BYTES + 101 * (BATCH + 1024);
    assert!((GROUPS_READY_BYTES..most).contains(&together), "{together}");
    // What one gives up, another may have.
    groups.truncate(1);
    assert_eq!(all.load(Relaxed), groups.iter().map(Ready::bytes).sum::<usize>());
    let mut next = Ready::new(Arc::clone(&all));
    assert!(fill(&mut next, 1) > 1);
    drop((groups, next));
    assert_eq!(all.load(Relaxed), 0);
}

proptest! {
    #[test]
    fn nothing_is_counted_that_is_not_there(steps in proptest::collection::vec((0..3_usize, 0..4_u64, 0..3_u8), 0..100)) {
        let all = ReadyBytes::default();
        let mut groups: Vec<Ready> = (0..3).map(|_| Ready::new(Arc::clone(&all))).collect();
        for (which, position, what) in steps {
            let Some(ready) = groups.get_mut(which) else { continue };
            match what {
                0 => ready.put(&event(position, 100)),
                1 => prop_assert!(ready.take(position).is_none_or(|event| event.position.get() == position)),
                _ => ready.clear(),
            }
            for ready in &groups {
                prop_assert_eq!(ready.bytes(), ready.events.values().map(bytes_of).sum::<usize>());
            }
            prop_assert_eq!(all.load(Relaxed), groups.iter().map(Ready::bytes).sum::<usize>());
        }
    }
}
