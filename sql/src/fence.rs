//! What a writer knows of the instance that it fills, so that it notices when somebody else fills it too.

use std::sync::{Mutex, MutexGuard, PoisonError};

use annalist::projection::ModelError;
use annalist_core::{Cursor, Epoch, EventId, Position, StoreId};
use uuid::Uuid;

/// What is noted of an instance beside its rows, and changes with them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Note {
    /// Who wrote last.
    pub(crate) writer: String,
    /// The last event in the rows.
    pub(crate) cursor: Cursor,
}

/// The writer of an instance that was replaced: whoever filled it may not write to it any more, though it may still be there.
pub(crate) const REPLACED: &str = "replaced";

/// A cursor as the columns `store`, `epoch` and `position`.
pub(crate) type Columns = (String, i64, i64);

pub(crate) fn columns(cursor: Cursor) -> Columns {
    let position = i64::try_from(cursor.position.get()).unwrap_or(i64::MAX);
    (cursor.store.to_string(), i64::from(cursor.epoch.get()), position)
}

/// The cursor in three columns. What is not one is damage.
pub(crate) fn cursor((store, epoch, position): &Columns) -> Result<Cursor, ModelError> {
    let damaged = || ModelError::Other("the note of a view is damaged: delete its tables, they are replayed".into());
    let store = StoreId::new(Uuid::parse_str(store).map_err(|_| damaged())?);
    let epoch = Epoch::new(u32::try_from(*epoch).map_err(|_| damaged())?);
    let position = Position::new(u64::try_from(*position).map_err(|_| damaged())?);
    Ok(Cursor { store, epoch, position })
}

/// One writer of one instance. The last that came is the one that may write: whoever finds a later one's name where its
/// own stood writes no more.
#[derive(Debug)]
pub(crate) struct Fence {
    /// Its name.
    pub(crate) writer: String,
    /// Whether it may write to an instance that was replaced: one that is kept to be put back.
    puts_back: bool,
    known: Mutex<Known>,
    /// Held while its name is put into the note.
    pub(crate) signing: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Known {
    cursor: Cursor,
    /// Whether its name stood in the note.
    signed: bool,
}

impl Fence {
    /// A writer that knows nothing and has written nothing.
    pub(crate) fn new() -> Self {
        let known = Known { cursor: Cursor::START, signed: false };
        Self {
            writer: EventId::generate().to_string(),
            puts_back: false,
            known: Mutex::new(known),
            signing: tokio::sync::Mutex::default(),
        }
    }

    /// The same of an instance that was replaced and may be put back.
    pub(crate) fn putting_back() -> Self {
        Self { puts_back: true, ..Self::new() }
    }

    /// Notes where the instance is: the writer goes on behind it.
    pub(crate) fn seen(&self, cursor: Cursor) {
        self.known().cursor = cursor;
    }

    /// Notes that the writer has committed up to there, with its name.
    pub(crate) fn committed(&self, cursor: Cursor) {
        *self.known() = Known { cursor, signed: true };
    }

    /// Notes that its name stands in the note.
    pub(crate) fn signed(&self) {
        self.known().signed = true;
    }

    /// Whether its name was seen to stand in the note.
    pub(crate) fn has_signed(&self) -> bool {
        self.known().signed
    }

    /// Whether the writer may write, having found this note under a lock that keeps others from changing it; tells the
    /// cursor that it writes behind.
    ///
    /// # Errors
    /// [`ModelError::Fenced`] when another writer came later; [`ModelError::Moved`] when this one must look again first.
    pub(crate) fn admit(&self, note: &Note) -> Result<Cursor, ModelError> {
        let mut known = self.known();
        if note.writer == REPLACED && (known.signed || !self.puts_back) {
            return Err(gone());
        }
        if note.writer == self.writer {
            known.signed = true;
        } else if known.signed {
            return Err(ModelError::Fenced { detail: format!("it is now filled by {}", note.writer) });
        }
        if note.cursor == known.cursor {
            return Ok(note.cursor);
        }
        Err(ModelError::Moved { known: known.cursor, found: note.cursor })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The instance is not there any more.
pub(crate) fn gone() -> ModelError {
    ModelError::Fenced { detail: "this instance of it was replaced or removed".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(writer: &Fence, position: u64) -> Note {
        let cursor = Cursor { store: StoreId::new(Uuid::from_u128(7)), epoch: Epoch::new(1), ..Cursor::START };
        Note { writer: writer.writer.clone(), cursor: cursor.at(Position::new(position)) }
    }

    #[test]
    fn a_writer_goes_on_where_it_left_the_instance() {
        let (fence, before) = (Fence::new(), Fence::new());
        assert!(fence.admit(&Note { writer: String::new(), cursor: Cursor::START }).is_ok());
        fence.seen(note(&before, 3).cursor);
        assert!(fence.admit(&note(&before, 3)).is_ok());
        fence.committed(note(&fence, 4).cursor);
        assert!(fence.admit(&note(&fence, 4)).is_ok());
    }

    #[test]
    fn a_writer_looks_again_when_the_instance_moved_either_way() {
        let fence = Fence::new();
        fence.seen(note(&fence, 4).cursor);
        for position in [3, 5] {
            let moved = fence.admit(&note(&fence, position)).unwrap_err();
            assert!(matches!(moved, ModelError::Moved { .. }), "{moved:?}");
        }
        let foreign = Note { cursor: Cursor { epoch: Epoch::new(2), ..note(&fence, 4).cursor }, ..note(&fence, 4) };
        assert!(matches!(fence.admit(&foreign), Err(ModelError::Moved { .. })));
    }

    #[test]
    fn the_later_of_two_writers_wins_for_good() {
        let (first, second) = (Fence::new(), Fence::new());
        first.committed(note(&first, 1).cursor);
        second.seen(note(&first, 1).cursor);
        assert!(second.admit(&note(&first, 1)).is_ok());
        assert!(matches!(
            second.admit(&Note { writer: REPLACED.to_owned(), ..note(&second, 2) }),
            Err(ModelError::Fenced { .. })
        ));
        for _ in 0..2 {
            first.seen(note(&second, 2).cursor);
            assert!(matches!(first.admit(&note(&second, 2)), Err(ModelError::Fenced { .. })));
        }
    }

    #[test]
    fn a_replaced_instance_takes_only_a_writer_that_puts_it_back() {
        let (first, back) = (Fence::new(), Fence::putting_back());
        first.committed(note(&first, 1).cursor);
        back.seen(note(&first, 1).cursor);
        let replaced = Note { writer: REPLACED.to_owned(), ..note(&first, 1) };
        assert!(matches!(first.admit(&replaced), Err(ModelError::Fenced { .. })));
        assert!(back.admit(&replaced).is_ok());
        back.committed(replaced.cursor);
        assert!(matches!(back.admit(&replaced), Err(ModelError::Fenced { .. })), "replaced once more");
    }

    #[test]
    fn a_cursor_survives_its_columns() {
        let fence = Fence::new();
        for any in [Cursor::START, note(&fence, 42).cursor] {
            assert_eq!(cursor(&columns(any)).unwrap(), any);
        }
        for wrong in [("x".to_owned(), 0, 0), (Uuid::nil().to_string(), -1, 0), (Uuid::nil().to_string(), 0, -1)] {
            assert!(cursor(&wrong).is_err(), "{wrong:?}");
        }
    }
}
