//! A transaction reads what it wrote on top of what is stored, like a map.

use std::{collections::BTreeMap, sync::Arc};

use annalist_core::Cursor;
use proptest::prelude::*;

use crate::projection::{MemoryKeyValue, RowError, Table, embedded::Embedded};

const ROWS: Table<(u8, i8), u64> = Table::new("rows");
/// A neighbour whose rows must never show up.
const ROWS_TOO: Table<(u8, i8), u64> = Table::new("rows-too");

#[derive(Clone, Debug)]
enum Step {
    Put((u8, i8), u64),
    Delete((u8, i8)),
    Update((u8, i8), u64),
    Commit,
    Rollback,
    Scan { from: (u8, i8), to: (u8, i8), inclusive: bool, rev: bool, limit: usize },
    Prefix(u8, usize),
}

fn key() -> impl Strategy<Value = (u8, i8)> {
    (0..4_u8, -3..3_i8)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (key(), any::<u64>()).prop_map(|(key, value)| Step::Put(key, value)),
        2 => key().prop_map(Step::Delete),
        4 => (key(), 0..9_u64).prop_map(|(key, by)| Step::Update(key, by)),
        1 => Just(Step::Commit),
        1 => Just(Step::Rollback),
        2 => (key(), key(), any::<bool>(), any::<bool>(), 0..6_usize)
            .prop_map(|(from, to, inclusive, rev, limit)| Step::Scan { from, to, inclusive, rev, limit }),
        1 => (0..4_u8, 0..6_usize).prop_map(|(first, limit)| Step::Prefix(first, limit)),
    ]
}

fn model() -> Embedded {
    Embedded::open_now(Arc::new(MemoryKeyValue::new()), "test", 1).unwrap()
}

proptest! {
    #[test]
    fn a_transaction_is_a_map(steps in proptest::collection::vec(step(), 1..60)) {
        let model = model();
        let mut tx = model.begin_now().unwrap().0;
        let (mut stored, mut map) = (BTreeMap::new(), BTreeMap::new());
        for step in steps {
            match step {
                Step::Put(key, value) => {
                    tx.put(&ROWS, &key, &value).unwrap();
                    tx.put(&ROWS_TOO, &key, &7).unwrap();
                    map.insert(key, value);
                    assert_eq!(tx.get(&ROWS, &key), Ok(Some(value)));
                }
                Step::Delete(key) => {
                    tx.delete(&ROWS, &key).unwrap();
                    map.remove(&key);
                    assert_eq!(tx.get(&ROWS, &key), Ok(None));
                }
                Step::Update(key, by) => {
                    let row: &mut u64 = map.entry(key).or_default();
                    *row = row.wrapping_add(by);
                    assert_eq!(tx.update(&ROWS, &key, |row| *row = row.wrapping_add(by)), Ok(*row));
                    tx.put(&ROWS_TOO, &key, &7).unwrap();
                }
                Step::Commit => {
                    Embedded::commit_now(tx, Cursor::START).unwrap();
                    tx = model.begin_now().unwrap().0;
                    stored.clone_from(&map);
                }
                Step::Rollback => {
                    tx = model.begin_now().unwrap().0;
                    map.clone_from(&stored);
                }
                Step::Scan { from, to, inclusive, rev, limit } => {
                    let inside = |key: &(u8, i8)| *key >= from && (*key < to || (inclusive && *key == to));
                    let mut rows: Vec<_> = map.clone().into_iter().filter(|(key, _)| inside(key)).collect();
                    let mut scan = tx.scan(&ROWS).limit(limit);
                    scan = if inclusive { scan.range(from..=to) } else { scan.range(from..to) };
                    if rev {
                        rows.reverse();
                        scan = scan.rev();
                    }
                    rows.truncate(limit);
                    assert_eq!(scan.rows(), Ok(rows));
                }
                Step::Prefix(first, limit) => {
                    let rows = map.clone().into_iter().filter(|((a, _), _)| *a == first).take(limit).collect();
                    assert_eq!(tx.scan(&ROWS).prefix(&first).limit(limit).rows(), Ok(rows));
                }
            }
        }
        let all: Vec<_> = map.into_iter().collect();
        assert_eq!(tx.scan(&ROWS).rows(), Ok(all.clone()));
        assert_eq!(tx.scan(&ROWS).first(), Ok(all.first().copied()));
        Embedded::commit_now(tx, Cursor::START).unwrap();
        assert_eq!(model.view_now(|view| view.scan(&ROWS).rows()), Ok(Ok(all)));
    }
}

#[test]
fn a_row_of_another_type_is_an_error_that_says_what_to_do() {
    const NUMBERS: Table<u32, u64> = Table::new("numbers");
    const TEXTS: Table<u32, String> = Table::new("numbers");
    const PAIRS: Table<(u32, u32), u64> = Table::new("numbers");
    let mut tx = model().begin_now().unwrap().0;
    tx.put(&NUMBERS, &1, &250).unwrap();
    let error = tx.get(&TEXTS, &1).unwrap_err();
    assert!(matches!(error, RowError::Malformed { table: "numbers", part: "value", .. }), "{error:?}");
    assert!(error.to_string().contains("increment the projection's VERSION"), "{error}");
    let error = tx.scan(&PAIRS).rows().unwrap_err();
    assert!(matches!(error, RowError::Malformed { part: "key", .. }), "{error:?}");
}

#[test]
fn update_begins_with_the_default_and_tells_what_it_made() {
    const COUNTS: Table<String, u64> = Table::new("counts");
    let mut tx = model().begin_now().unwrap().0;
    assert_eq!(tx.update(&COUNTS, &"a".to_owned(), |count| *count += 2), Ok(2));
    assert_eq!(tx.update(&COUNTS, &"a".to_owned(), |count| *count += 3), Ok(5));
}
