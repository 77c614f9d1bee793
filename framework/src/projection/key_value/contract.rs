//! One contract for every key-value store: each case runs for each implementation.

use std::{collections::BTreeMap, ops::ControlFlow};

use annalist_core::{Direction, StoreError};

use super::{Batch, KeyValueStore, MemoryKeyValue, read_rows};

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn scan(store: &dyn KeyValueStore, from: &[u8], to: &[u8], direction: Direction, limit: usize) -> Pairs {
    read_rows(store, |rows| {
        let mut pairs = Pairs::new();
        rows.scan(from..to, direction, &mut |key, value| {
            pairs.push((key.to_vec(), value.to_vec()));
            if pairs.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(pairs)
    })
    .unwrap()
}

fn pairs(keys: &[&str]) -> Pairs {
    keys.iter().map(|key| (key.as_bytes().to_vec(), key.to_uppercase().into_bytes())).collect()
}

fn put_all(store: &dyn KeyValueStore, keys: &[&str]) {
    store.write(pairs(keys).into_iter().fold(Batch::new(), |batch, (key, value)| batch.put(key, value))).unwrap();
}

fn what_was_put_is_got_and_what_was_deleted_is_not(store: &dyn KeyValueStore) {
    store.write(Batch::new().put("a", "1").put("b", "2")).unwrap();
    store.write(Batch::new().put("a", "3").delete("b").delete("never there")).unwrap();
    assert_eq!(store.get(b"a").unwrap().as_deref(), Some(&b"3"[..]));
    assert_eq!(store.get(b"b").unwrap(), None);
}

fn changes_of_a_batch_are_made_in_order(store: &dyn KeyValueStore) {
    put_all(store, &["a", "b", "c"]);
    store.write(Batch::new().put("a", "gone").delete_range(b"a".to_vec()..b"c".to_vec()).put("b", "again")).unwrap();
    assert_eq!(store.get(b"a").unwrap(), None);
    assert_eq!(store.get(b"b").unwrap().as_deref(), Some(&b"again"[..]));
    assert_eq!(store.get(b"c").unwrap().as_deref(), Some(&b"C"[..]));
}

fn a_guard_that_does_not_hold_refuses_the_whole_batch(store: &dyn KeyValueStore) {
    store.write(Batch::new().put("a", "1").only_if("a", None)).unwrap();
    store.write(Batch::new().put("a", "2").only_if("a", Some(b"1".to_vec()))).unwrap();
    for stale in [None, Some(b"1".to_vec())] {
        let refused = store.write(Batch::new().put("a", "3").put("b", "3").only_if("a", stale)).unwrap_err();
        assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
    }
    assert_eq!(store.get(b"a").unwrap().as_deref(), Some(&b"2"[..]));
    assert_eq!(store.get(b"b").unwrap(), None);
}

fn scans_go_both_ways_within_bounds_and_limit(store: &dyn KeyValueStore) {
    put_all(store, &["a", "b", "ba", "c", "d"]);
    assert_eq!(scan(store, b"b", b"d", Direction::Forward, 9), pairs(&["b", "ba", "c"]));
    assert_eq!(scan(store, b"b", b"d", Direction::Backward, 9), pairs(&["c", "ba", "b"]));
    assert_eq!(scan(store, b"a", b"z", Direction::Forward, 2), pairs(&["a", "b"]));
    assert_eq!(scan(store, b"a", b"z", Direction::Backward, 2), pairs(&["d", "c"]));
    assert_eq!(scan(store, b"d", b"b", Direction::Forward, 9), Pairs::new());
    assert_eq!(scan(store, b"b", b"b", Direction::Backward, 9), Pairs::new());
}

fn a_read_sees_one_state(store: &dyn KeyValueStore) {
    let writing = BTreeMap::from([("a", "x"), ("b", "x")]);
    let put = |value: &str| writing.keys().fold(Batch::new(), |batch, key| batch.put(*key, value));
    store.write(put("0")).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| (1..300).for_each(|round: u32| store.write(put(&round.to_string())).unwrap()));
        for _ in 0..300 {
            let both = read_rows(store, |rows| Ok((rows.get(b"a")?, rows.get(b"b")?))).unwrap();
            assert_eq!(both.0, both.1);
        }
    });
}

fn after_closing_every_call_says_so(store: &dyn KeyValueStore) {
    put_all(store, &["a"]);
    store.close().unwrap();
    assert_eq!(store.get(b"a"), Err(StoreError::Closed));
    assert_eq!(store.write(Batch::new().put("b", "")), Err(StoreError::Closed));
    assert_eq!(read_rows(store, |rows| rows.get(b"a")), Err(StoreError::Closed));
}

macro_rules! contract {
    ($($case:ident),* $(,)?) => {
        mod memory {
            $(#[test] fn $case() { super::$case(&super::MemoryKeyValue::new()); })*
        }
        #[cfg(feature = "embedded")]
        mod embedded {
            $(#[test] fn $case() {
                let dir = tempfile::tempdir().unwrap();
                super::$case(&annalist_store::KeyValue::open(dir.path()).unwrap());
            })*
        }
    };
}

contract!(
    what_was_put_is_got_and_what_was_deleted_is_not,
    changes_of_a_batch_are_made_in_order,
    a_guard_that_does_not_hold_refuses_the_whole_batch,
    scans_go_both_ways_within_bounds_and_limit,
    a_read_sees_one_state,
    after_closing_every_call_says_so,
);
