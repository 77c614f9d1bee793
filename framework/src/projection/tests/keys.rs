//! Keys sort as their values do and come back as they were.

use std::fmt::Debug;

use annalist_core::{Position, Timestamp};
use proptest::prelude::*;

use crate::projection::{Descending, KeyPrefix, ViewKey};

fn bytes(key: &impl ViewKey) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.encode(&mut bytes);
    bytes
}

fn check<K: ViewKey + Ord + Debug>(a: &K, b: &K) {
    let (encoded_a, encoded_b) = (bytes(a), bytes(b));
    assert_eq!(encoded_a.cmp(&encoded_b), a.cmp(b), "{a:?} and {b:?}");
    if a != b {
        assert!(!encoded_a.starts_with(&encoded_b), "{a:?} begins with {b:?}");
    }
    let both = [encoded_a.as_slice(), &encoded_b].concat();
    let mut rest = both.as_slice();
    assert_eq!(K::decode(&mut rest).as_ref(), Some(a));
    assert_eq!(K::decode(&mut rest).as_ref(), Some(b));
    assert_eq!(rest, b"");
}

/// Short, with zeros and the greatest byte of UTF-8, so that beginnings are often equal.
fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(prop::sample::select(vec!['\0', '\u{1}', 'a', 'b', '\u{10ffff}']), 0..5)
        .prop_map(|chars| chars.into_iter().collect())
}

proptest! {
    #[test]
    fn strings(a in text(), b in text()) {
        check(&a, &b);
        check(&Descending(a.clone()), &Descending(b.clone()));
        check(&Some(a), &None);
        let mut prefix = Vec::new();
        b.as_str().encode_prefix(&mut prefix);
        assert!(bytes(&format!("{b}and so on")).starts_with(&prefix));
    }

    #[test]
    fn numbers(a: i64, b: i64, c: u32, d: u32, small: (i8, i8)) {
        check(&a, &b);
        check(&i128::from(a), &i128::from(b));
        check(&c, &d);
        check(&small.0, &small.1);
        check(&Descending(a), &Descending(b));
        check(&Timestamp::from_micros(a), &Timestamp::from_micros(b));
        check(&Position::new(c.into()), &Position::new(d.into()));
    }

    #[test]
    fn tuples(a: (i8, bool), b: (i8, bool), x in text(), y in text()) {
        check(&a, &b);
        check(&(x.clone(), a.0), &(y.clone(), b.0));
        check(&(a.0, x.clone(), a.1), &(b.0, y.clone(), b.1));
        check(&(Descending(a.0), x, a.1, 'x'), &(Descending(b.0), y, b.1, 'y'));
    }
}

#[test]
fn bytes_that_are_no_key_are_refused() {
    assert_eq!(u32::decode(&mut &[1, 2, 3][..]), None);
    assert_eq!(bool::decode(&mut &[2][..]), None);
    assert_eq!(String::decode(&mut &b"no end"[..]), None);
    assert_eq!(String::decode(&mut &[0, 7][..]), None);
    assert_eq!(String::decode(&mut &[0xff, 0, 1][..]), None);
    assert_eq!(char::decode(&mut &[0, 0, 0xd8, 0][..]), None);
}
