//! The notes of parked events: they are written and removed with the rows and the cursor.

use std::ops::ControlFlow;

use annalist_core::{Direction, Position, StoreError, Timestamp};

use super::{
    super::{
        key_value::{behind_prefix, read_rows},
        parking::Parked,
    },
    Embedded, Tx, damaged, decode, encode, keys,
};

/// What is noted of a parked event: error, attempts, microseconds since 1970.
type Note = (Option<String>, u32, i64);

impl Tx {
    pub(super) fn park(&mut self, parked: &Parked) -> Result<(), StoreError> {
        let Parked { key, position, error, attempts, time } = parked;
        let note: Note = (error.clone(), *attempts, time.as_micros());
        let at = keys::parked(self.model.name, self.model.number, key, *position);
        self.write_raw(at, Some(encode(&note)?));
        Ok(())
    }

    pub(super) fn unpark(&mut self, key: &str, position: Position) {
        let at = keys::parked(self.model.name, self.model.number, key, position);
        self.write_raw(at, None);
    }
}

impl Embedded {
    pub(super) fn parked_now(
        &self,
        after: Option<(String, Position)>,
        limit: usize,
    ) -> Result<Vec<Parked>, StoreError> {
        let all = keys::all_parked(self.name, self.number);
        let end = behind_prefix(&all).unwrap_or_default();
        let start = match after {
            // Nothing stands between a position and the next.
            Some((key, position)) => keys::parked(self.name, self.number, &key, position.next()),
            None => all,
        };
        let (mut found, mut result) = (Vec::new(), Ok(()));
        read_rows(&*self.key_value, |rows| {
            rows.scan(&start..&end, Direction::Forward, &mut |key, note| {
                if found.len() >= limit {
                    return ControlFlow::Break(());
                }
                match (keys::parked_event(self.name, key), decode::<Note>(note)) {
                    (Some((key, position)), Ok((error, attempts, micros))) => {
                        let time = Timestamp::from_micros(micros);
                        found.push(Parked { key, position, error, attempts, time });
                        ControlFlow::Continue(())
                    }
                    (_, note) => {
                        result = note.and(Err(damaged("a parked event")));
                        ControlFlow::Break(())
                    }
                }
            })
        })?;
        result.map(|()| found)
    }
}
