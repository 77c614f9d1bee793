//! Writes a message from its end to its beginning: how long a part is is known then when it is to be said.

use bytes::Bytes;

const NUMBER: u32 = 0;
const BYTES: u32 = 2;

/// See the module. Fields are written last first.
pub(super) struct Reverse {
    /// Written from `begin` on.
    buffer: Vec<u8>,
    begin: usize,
}

impl Reverse {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { buffer: vec![0; bytes], begin: bytes }
    }

    pub(super) fn finish(self) -> Bytes {
        Bytes::from(self.buffer).slice(self.begin..)
    }

    /// What stands before everything that was written.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        if bytes.len() > self.begin {
            self.grow(bytes.len());
        }
        let end = self.begin;
        self.begin = end.saturating_sub(bytes.len());
        if let Some(place) = self.buffer.get_mut(self.begin..end) {
            place.copy_from_slice(bytes);
        }
    }

    /// Makes room before what was written.
    fn grow(&mut self, bytes: usize) {
        let written = self.buffer.get(self.begin..).unwrap_or_default();
        let begin = bytes.max(written.len()).max(64);
        let mut larger = vec![0; begin];
        larger.extend_from_slice(written);
        (self.buffer, self.begin) = (larger, begin);
    }

    /// A field of a number; none for 0, which is what a field that is not there means.
    pub(super) fn number(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.varint(value);
            self.key(field, NUMBER);
        }
    }

    /// A field of bytes or text; none for none, as above.
    pub(super) fn bytes(&mut self, field: u32, value: &[u8]) {
        if !value.is_empty() {
            self.message(field, |out| out.put(value));
        }
    }

    /// A field that is there even if it is empty: a message, or one of many.
    pub(super) fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        let behind = self.written();
        write(self);
        self.varint((self.written() - behind) as u64);
        self.key(field, BYTES);
    }

    fn written(&self) -> usize {
        self.buffer.len() - self.begin
    }

    fn key(&mut self, field: u32, kind: u32) {
        self.varint(u64::from(field << 3 | kind));
    }

    fn varint(&mut self, value: u64) {
        if let Ok(small @ 0..0x80) = u8::try_from(value) {
            return self.put(&[small]);
        }
        let mut bytes = [0; 10];
        let mut left = &mut bytes[..];
        prost::encoding::encode_varint(value, &mut left);
        let unused = left.len();
        self.put(bytes.get(..10 - unused).unwrap_or_default());
    }
}
