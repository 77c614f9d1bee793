//! The events that are written: always the same ones, from a seed.

use annalist_core::{
    Append, ContentType, EventId, EventType, Expected, Fingerprint, Invalid, Key, NewEvent, StreamId, Version,
};
use uuid::{Builder, Uuid};

/// Bytes of every payload: one half is text like that of a JSON document, the other is random, so that compression finds
/// what it would find in real events and no more.
pub const PAYLOAD_BYTES: usize = 256;

/// A stream is left for a new one once it has this many events.
const STREAM_EVENTS: u64 = 100;

const TEXT: &[u8; PAYLOAD_BYTES / 2] = br#"{"order":"0000000000","customer":"00000","cents":"000000","cds":"2","currency":"USD","placed":"1997-01-01","channel":"web","x":""#;
const ORDER: std::ops::Range<usize> = 10..20;
const CUSTOMER: std::ops::Range<usize> = 34..39;
const CENTS: std::ops::Range<usize> = 50..56;

/// Random numbers from a seed: `SplitMix64`, fast and good enough for bytes that nobody guesses.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next one.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next one below `bound`, which is at least 1. The bias is of no account here.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// One writer's events: each append has a fresh key and goes to a stream that no other writer uses, at the version at
/// which the writer left it; a new stream once that has 100 events.
#[derive(Debug)]
pub struct EventSource {
    writer: u64,
    appends: u64,
    streams: u64,
    version: u64,
    json: bool,
    random: Random,
    types: [EventType; 3],
}

impl EventSource {
    /// The events of this writer.
    ///
    /// # Errors
    /// Never in practice: the names are fixed and valid.
    pub fn new(writer: u64) -> Result<Self, Invalid> {
        let types = [EventType::new("order-placed")?, EventType::new("order-paid")?, EventType::new("order-shipped")?];
        Ok(Self { writer, appends: 0, streams: 0, version: 0, json: false, random: Random::new(writer << 32), types })
    }

    /// The same events with payloads that are JSON to their end, for readers that decode them: the random half is text.
    #[must_use]
    pub const fn json(mut self) -> Self {
        self.json = true;
        self
    }

    /// The next append, of so many events.
    ///
    /// # Errors
    /// Never in practice: the names are fixed and valid.
    pub fn append(&mut self, events: usize) -> Result<Append, Invalid> {
        if self.version >= STREAM_EVENTS {
            self.streams += 1;
            self.version = 0;
        }
        let stream = StreamId::of("order", format_args!("{}-{}", self.writer, self.streams))?;
        let expected = Expected::Exact(Version::new(self.version));
        let batch: Vec<NewEvent> = (0..events).map(|_| self.event()).collect();
        let key = Key::new("bench", format!("{}-{}", self.writer, self.appends))?;
        let fingerprint = Fingerprint::new(Uuid::from_u64_pair(self.writer, self.appends).into_bytes());
        self.appends += 1;
        Ok(Append::new().events(stream, expected, batch).keyed(key, fingerprint, ""))
    }

    /// The next event by itself.
    pub fn event(&mut self) -> NewEvent {
        let [placed, paid, shipped] = &self.types;
        let event_type = match self.version % 3 {
            0 => placed.clone(),
            1 => paid.clone(),
            _ => shipped.clone(),
        };
        self.version += 1;
        let id = self.event_id();
        let event = NewEvent::new(id, event_type, self.payload());
        if self.json { event } else { event.with_content_type(ContentType::BYTES) }
    }

    /// A version 7 UUID as a caller would make it, only that its time is counted and not read.
    fn event_id(&mut self) -> EventId {
        let millis = 1_800_000_000_000 + self.appends;
        let bits = (u128::from(self.random.next()) << 64 | u128::from(self.random.next())).to_le_bytes();
        let mut random = [0; 10];
        random.copy_from_slice(bits.split_at(10).0);
        EventId::new(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    fn payload(&mut self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(PAYLOAD_BYTES);
        payload.extend_from_slice(TEXT);
        let numbers = self.random.next();
        for (field, number) in [(ORDER, numbers >> 30), (CUSTOMER, numbers >> 12), (CENTS, numbers)] {
            let mut rest = number;
            for digit in payload.get_mut(field).into_iter().flatten().rev() {
                *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
                rest /= 10;
            }
        }
        while payload.len() < PAYLOAD_BYTES {
            payload.extend_from_slice(&self.random.next().to_le_bytes());
        }
        if self.json {
            let (_, random) = payload.split_at_mut(TEXT.len());
            for byte in &mut *random {
                *byte = b'@' + *byte % 26;
            }
            if let Some(end) = random.last_chunk_mut() {
                *end = *b"\"}";
            }
        }
        payload
    }
}

#[cfg(test)]
mod tests;
