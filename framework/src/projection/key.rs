//! Keys of view rows: values as bytes that sort as the values do.

use annalist_core::{EventId, Position, StreamId, Timestamp, Version};
use uuid::Uuid;

/// A value that can be the key of a row, as bytes in the same order.
///
/// Two rules, on which ranges and tuples rest: `a < b` exactly if the bytes of `a` sort before those of `b`; and no
/// key's bytes begin with all the bytes of another key of the same type. A newtype inherits both:
///
/// ```
/// # use annalist::projection::ViewKey;
/// #[derive(PartialEq, Debug)]
/// struct OrderId(u32);
///
/// impl ViewKey for OrderId {
///     fn encode(&self, bytes: &mut Vec<u8>) {
///         self.0.encode(bytes);
///     }
///     fn decode(bytes: &mut &[u8]) -> Option<Self> {
///         u32::decode(bytes).map(Self)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of a view's row",
    note = "keys are integers, strings, tuples of keys, ...; for a newtype, implement `ViewKey` by its content"
)]
pub trait ViewKey: Sized {
    /// Appends the bytes of this key.
    fn encode(&self, bytes: &mut Vec<u8>);

    /// Takes one key off the front of `bytes`; `None` if there is none.
    fn decode(bytes: &mut &[u8]) -> Option<Self>;
}

/// Part of a key `K` that a scan can ask for: the first components of a tuple, the beginning of a string.
pub trait KeyPrefix<K> {
    /// Appends the bytes with which all wanted keys begin.
    fn encode_prefix(self, bytes: &mut Vec<u8>);
}

/// A key in the opposite order: the greatest first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Descending<K>(pub K);

impl<K: Ord> Ord for Descending<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.0.cmp(&self.0)
    }
}

impl<K: PartialOrd> PartialOrd for Descending<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        other.0.partial_cmp(&self.0)
    }
}

impl<K: ViewKey> ViewKey for Descending<K> {
    fn encode(&self, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        self.0.encode(bytes);
        bytes.iter_mut().skip(start).for_each(|byte| *byte = !*byte);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let inverted: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
        let mut rest = inverted.as_slice();
        let key = K::decode(&mut rest)?;
        *bytes = bytes.get(inverted.len() - rest.len()..)?;
        Some(Self(key))
    }
}

/// Takes `N` bytes off the front.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

macro_rules! unsigned_keys {
    ($($integer:ty),*) => {$(
        impl ViewKey for $integer {
            fn encode(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_be_bytes());
            }
            fn decode(bytes: &mut &[u8]) -> Option<Self> {
                take(bytes).map(Self::from_be_bytes)
            }
        }
    )*};
}
unsigned_keys!(u8, u16, u32, u64, u128);

// Two's complement with the sign bit flipped sorts as the numbers do.
macro_rules! signed_keys {
    ($($integer:ty),*) => {$(
        impl ViewKey for $integer {
            fn encode(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&(*self ^ <$integer>::MIN).to_be_bytes());
            }
            fn decode(bytes: &mut &[u8]) -> Option<Self> {
                take(bytes).map(|bytes| Self::from_be_bytes(bytes) ^ <$integer>::MIN)
            }
        }
    )*};
}
signed_keys!(i8, i16, i32, i64, i128);

macro_rules! keys_by_content {
    ($($key:ty: $content:ty, |$value:ident| $into:expr, $from:expr;)*) => {$(
        impl ViewKey for $key {
            fn encode(&self, bytes: &mut Vec<u8>) {
                let $value = self;
                <$content as ViewKey>::encode(&$into, bytes);
            }
            fn decode(bytes: &mut &[u8]) -> Option<Self> {
                let content = <$content as ViewKey>::decode(bytes)?;
                let from: fn($content) -> Option<Self> = $from;
                from(content)
            }
        }
    )*};
}
keys_by_content! {
    bool: u8, |value| u8::from(*value), |byte| (byte < 2).then_some(byte == 1);
    char: u32, |value| u32::from(*value), char::from_u32;
    Uuid: u128, |value| value.as_u128(), |bits| Some(Uuid::from_u128(bits));
    Position: u64, |value| value.get(), |number| Some(Position::new(number));
    Version: u64, |value| value.get(), |number| Some(Version::new(number));
    Timestamp: i64, |value| value.as_micros(), |micros| Some(Timestamp::from_micros(micros));
    EventId: Uuid, |value| value.uuid(), |id| Some(EventId::new(id));
    StreamId: String, |value| value.as_str().to_owned(), |name| StreamId::new(name).ok();
}

/// A zero byte inside a string becomes `ESCAPED`; `END` sorts before it and before every other byte of a string, so
/// that "a" < "a\0" < "ab".
const ESCAPED: [u8; 2] = [0, 0xff];
const END: [u8; 2] = [0, 1];

fn encode_text(text: &str, bytes: &mut Vec<u8>) {
    for byte in text.bytes() {
        if byte == 0 { bytes.extend_from_slice(&ESCAPED) } else { bytes.push(byte) }
    }
}

impl ViewKey for String {
    fn encode(&self, bytes: &mut Vec<u8>) {
        encode_text(self, bytes);
        bytes.extend_from_slice(&END);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let mut text = Vec::new();
        loop {
            let zero = bytes.iter().position(|byte| *byte == 0)?;
            let (part, rest) = bytes.split_at_checked(zero)?;
            text.extend_from_slice(part);
            *bytes = rest;
            match take::<2>(bytes)? {
                END => return Self::from_utf8(text).ok(),
                ESCAPED => text.push(0),
                _ => return None,
            }
        }
    }
}

impl KeyPrefix<String> for &str {
    fn encode_prefix(self, bytes: &mut Vec<u8>) {
        encode_text(self, bytes);
    }
}

impl<K: ViewKey> ViewKey for Option<K> {
    fn encode(&self, bytes: &mut Vec<u8>) {
        self.is_some().encode(bytes);
        if let Some(key) = self {
            key.encode(bytes);
        }
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        if bool::decode(bytes)? { K::decode(bytes).map(Some) } else { Some(None) }
    }
}

/// The key of a table with a single row.
impl ViewKey for () {
    fn encode(&self, _: &mut Vec<u8>) {}

    fn decode(_: &mut &[u8]) -> Option<Self> {
        Some(())
    }
}

macro_rules! tuple_keys {
    ($($key:ident),*) => {
        impl<$($key: ViewKey),*> ViewKey for ($($key,)*) {
            #[expect(non_snake_case, reason = "the components are named as their types")]
            fn encode(&self, bytes: &mut Vec<u8>) {
                let ($($key,)*) = self;
                $($key.encode(bytes);)*
            }
            fn decode(bytes: &mut &[u8]) -> Option<Self> {
                Some(($($key::decode(bytes)?,)*))
            }
        }
    };
}
tuple_keys!(A, B);
tuple_keys!(A, B, C);
tuple_keys!(A, B, C, D);

impl<A: ViewKey, B> KeyPrefix<(A, B)> for &A {
    fn encode_prefix(self, bytes: &mut Vec<u8>) {
        self.encode(bytes);
    }
}

impl<A: ViewKey, B, C> KeyPrefix<(A, B, C)> for &A {
    fn encode_prefix(self, bytes: &mut Vec<u8>) {
        self.encode(bytes);
    }
}

impl<A: ViewKey, B: ViewKey, C> KeyPrefix<(A, B, C)> for (&A, &B) {
    fn encode_prefix(self, bytes: &mut Vec<u8>) {
        self.0.encode(bytes);
        self.1.encode(bytes);
    }
}
