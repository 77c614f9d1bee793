//! Cursors as text: `position@store:epoch`, or a position alone.

use annalist_core::{Cursor, Epoch, Position, StoreId};
use uuid::Uuid;

use super::problem::Problem;

/// Reads a cursor. A position alone is one of the log whose head this is; 0, or nothing, is the beginning of any.
pub(super) fn parse(text: &str, head: Cursor) -> Result<Cursor, Problem> {
    let wrong = || Problem::malformed(format!("`{text}` is not a cursor; write a position, or `position@store:epoch`"));
    let number = |text: &str| text.parse().map(Position::new).map_err(|_| wrong());
    match text.split_once('@') {
        None if text.is_empty() => Ok(Cursor::START),
        None => match number(text)? {
            Position::ZERO => Ok(Cursor::START),
            position => Ok(head.at(position)),
        },
        Some((position, log)) => {
            let (store, epoch) = log.split_once(':').ok_or_else(wrong)?;
            let store = StoreId::new(Uuid::try_parse(store).map_err(|_| wrong())?);
            let epoch = Epoch::new(epoch.parse().map_err(|_| wrong())?);
            Ok(Cursor { store, epoch, position: number(position)? })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_as_they_are_written() {
        let head = Cursor { store: StoreId::new(Uuid::from_u128(7)), epoch: Epoch::new(2), position: Position::new(9) };
        assert_eq!(parse(&head.to_string(), head).ok(), Some(head));
        assert_eq!(parse(&Cursor::START.to_string(), head).ok(), Some(Cursor::START));
        assert_eq!(parse("4", head).ok(), Some(head.at(Position::new(4))));
        assert_eq!(parse("", head).ok(), Some(Cursor::START));
        assert_eq!(parse("0", head).ok(), Some(Cursor::START));
        for wrong in ["x", "-1", "1@", "1@2:3", "@:", "18446744073709551616"] {
            assert!(parse(wrong, head).is_err(), "{wrong}");
        }
    }
}
