//! Snapshots as bytes: version u64, event id, schema length u16, schema, CRC-32 of all this and the state, state.

use annalist_core::{EventId, Snapshot, Version};
use bytes::Bytes;
use uuid::Uuid;

const HEAD_BYTES: usize = 8 + 16 + 2;

pub(crate) fn encode(snapshot: &Snapshot) -> Vec<u8> {
    let schema = snapshot.schema.as_bytes();
    let mut out = Vec::with_capacity(HEAD_BYTES + schema.len() + 4 + snapshot.state.len());
    out.extend_from_slice(&snapshot.version.get().to_le_bytes());
    out.extend_from_slice(snapshot.event_id.uuid().as_bytes());
    out.extend_from_slice(&u16::try_from(schema.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(schema);
    let checksum = checksum(&out, &snapshot.state);
    out.extend_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(&snapshot.state);
    out
}

/// `None` if the bytes are not a whole snapshot.
pub(crate) fn decode(bytes: &Bytes) -> Option<Snapshot> {
    let head = bytes.first_chunk::<HEAD_BYTES>()?;
    let [v0, v1, v2, v3, v4, v5, v6, v7, id @ .., s0, s1] = *head;
    let schema_end = HEAD_BYTES + usize::from(u16::from_le_bytes([s0, s1]));
    let schema = std::str::from_utf8(bytes.get(HEAD_BYTES..schema_end)?).ok()?;
    let expected = u32::from_le_bytes(*bytes.get(schema_end..)?.first_chunk::<4>()?);
    let state = bytes.slice(schema_end + 4..);
    (checksum(bytes.get(..schema_end)?, &state) == expected).then(|| Snapshot {
        version: Version::new(u64::from_le_bytes([v0, v1, v2, v3, v4, v5, v6, v7])),
        event_id: EventId::new(Uuid::from_bytes(id)),
        schema: schema.to_owned(),
        state,
    })
}

fn checksum(head: &[u8], state: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(state);
    hasher.finalize()
}
