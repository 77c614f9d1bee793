//! The fields of a message, one after the other.

use annalist_core::Invalid;

use crate::cursor::malformed;

/// What a field says.
pub(super) enum Field<'a> {
    Number(u64),
    /// Bytes, text, or a message.
    Bytes(&'a [u8]),
    /// Something that no message here has.
    Other,
}

/// These bytes are no such message.
#[derive(Debug)]
pub(super) struct Malformed;

impl From<Malformed> for Invalid {
    fn from(Malformed: Malformed) -> Self {
        malformed("the append cannot be decoded; it must be a message `AppendRequest` of `annalist.v1`")
    }
}

/// See the module. Ends behind the first that cannot be read.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) const fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn field(&mut self) -> Option<(u32, Field<'a>)> {
        let key = u32::try_from(self.varint()?).ok()?;
        let field = match key & 7 {
            0 => Field::Number(self.varint()?),
            1 => self.take(8).map(|_| Field::Other)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Field::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Field::Other)?,
            _ => return None,
        };
        let number = key >> 3;
        (number > 0).then_some((number, field))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        if let Some((small @ 0..0x80, rest)) = self.0.split_first() {
            self.0 = rest;
            return Some((*small).into());
        }
        prost::encoding::decode_varint(&mut self.0).ok()
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Field<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field().ok_or(Malformed);
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}
