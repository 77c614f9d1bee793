//! Whatever bytes come as a message: what is understood is what would have been sent, and the rest is refused.

#[path = "../../../tests/fuzz/harness.rs"]
mod harness;

use annalist_core::{
    Append, Condition, Cursor, EventId, Position, Query, Read, RecordedEvent, Snapshot, Timestamp, Version,
};
use bytes::Bytes;
use prost::Message;
use uuid::Uuid;

use super::{appends, cursor, decorated, queries, stream};
use crate::{decode_append, encode_append, subscribe, subscribed, v1};
use harness::Target;

/// Takes a message apart and puts it together again, which must not change what it says.
fn read<M, T, E: std::fmt::Debug>(
    name: &str,
    bytes: &[u8],
    out: impl Fn(M) -> Result<T, E>,
    back: impl Fn(T) -> M,
) -> String
where
    M: Message + Default + Clone + PartialEq,
{
    let Ok(message) = M::decode(bytes) else { return format!("{name} malformed") };
    match out(message) {
        Ok(value) => {
            let once = back(value);
            let sent = M::decode(once.encode_to_vec().as_slice()).expect("a message that was just encoded");
            let again = out(sent).unwrap_or_else(|invalid| panic!("{name} is refused the second time: {invalid:?}"));
            assert!(back(again) == once, "{name} comes back as something else");
            format!("{name} of {}", once.encoded_len().min(64) / 4)
        }
        // Its kind, without what was named.
        Err(error) => {
            let kind: String = format!("{error:?}").chars().take_while(|letter| letter.is_alphanumeric()).collect();
            format!("{name} {kind}")
        }
    }
}

fn run(bytes: &[u8]) -> String {
    let Some((kind, bytes)) = bytes.split_first() else { return "nothing".to_owned() };
    match kind % 8 {
        0 => read("query", bytes, |query: v1::Query| Query::try_from(query), v1::Query::from),
        1 => {
            let found = read(
                "append",
                bytes,
                |append: v1::AppendRequest| Append::try_from(append),
                |append| v1::AppendRequest::from(&append),
            );
            let by_hand = decode_append(&Bytes::copy_from_slice(bytes));
            if let Ok(append) = &by_hand {
                let sent = encode_append(append);
                assert!(decode_append(&sent).as_ref() == Ok(append), "an append comes back as something else");
                let generated = v1::AppendRequest::decode(sent).expect("a message that was just encoded");
                assert!(Append::try_from(generated).as_ref() == Ok(append), "what is generated reads something else");
            }
            format!("{found}, by hand {}", by_hand.is_ok())
        }
        2 => read("read", bytes, |read: v1::ReadRequest| Read::try_from(read), v1::ReadRequest::from),
        3 => read("subscribe", bytes, subscribed, |(query, after)| subscribe(query, after)),
        4 => read("cursor", bytes, |cursor: v1::Cursor| Cursor::try_from(cursor), v1::Cursor::from),
        5 => read("event", bytes, |event: v1::StoredEvent| RecordedEvent::try_from(event), |event| (&event).into()),
        6 => read("snapshot", bytes, |snapshot: v1::Snapshot| Snapshot::try_from(snapshot), v1::Snapshot::from),
        _ => read("condition", bytes, |condition: v1::Condition| Condition::try_from(condition), v1::Condition::from),
    }
}

/// Messages, with what they are to be taken for.
fn seeds() -> Vec<(u8, Vec<u8>)> {
    let mut seeds = vec![(4, v1::Cursor::from(cursor(3)).encode_to_vec())];
    for query in queries() {
        seeds.push((0, v1::Query::from(query.clone()).encode_to_vec()));
        seeds.push((2, v1::ReadRequest::from(Read::query(query.clone(), Position::new(9)).limit(7)).encode_to_vec()));
        seeds.push((3, subscribe(query, cursor(4)).encode_to_vec()));
    }
    for append in appends() {
        seeds.extend(
            append.conditions.iter().map(|condition| (7, v1::Condition::from(condition.clone()).encode_to_vec())),
        );
        seeds.push((1, v1::AppendRequest::from(&append).encode_to_vec()));
    }
    let (position, version) = (Position::new(5), Version::new(2));
    let event = RecordedEvent::record(&stream("a-1"), &decorated(), position, version, Timestamp::default());
    seeds.push((5, v1::StoredEvent::from(&event).encode_to_vec()));
    let event_id = EventId::new(Uuid::from_u128(9));
    let snapshot = Snapshot { version, event_id, schema: "v1".to_owned(), state: "state".into() };
    seeds.push((6, v1::Snapshot::from(snapshot).encode_to_vec()));
    seeds
}

#[test]
fn messages() {
    let seeds = seeds().into_iter().map(|(kind, bytes)| [&[kind][..], &bytes].concat()).collect();
    Target { name: "message", seeds, repair: &|_| {}, run: &run }.fuzz();
}
