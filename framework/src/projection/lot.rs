//! The events of a batch that go into one transaction.

use annalist_core::RecordedEvent;

use crate::event::{DecodeError, Recorded};

/// What became of an event when it was decoded; `None` if it is of no interest.
type Outcome<E> = Result<Option<Recorded<E>>, DecodeError>;

/// Decoded events, from the first of a batch on; perhaps not all.
pub(super) type DecodedAs<E> = Vec<Outcome<E>>;

/// See the module.
pub(super) struct Lot<'e, E> {
    batch: &'e [RecordedEvent],
    /// The places in the batch of those in this lot, in order.
    places: Vec<usize>,
    /// What is decoded of them, from the first on.
    decoded: DecodedAs<E>,
}

impl<E> Default for Lot<'_, E> {
    fn default() -> Self {
        Self { batch: &[], places: Vec::new(), decoded: Vec::new() }
    }
}

impl<'e, E> Lot<'e, E> {
    /// A whole batch.
    pub(super) fn new(batch: &'e [RecordedEvent], decoded: DecodedAs<E>) -> Self {
        Self { batch, places: (0..batch.len()).collect(), decoded }
    }

    /// The same events, to be decoded again.
    pub(super) fn undecoded(&self) -> Self {
        Self { batch: self.batch, places: self.places.clone(), decoded: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Its events with their places in the batch and, of the first ones, what is decoded.
    pub(super) fn into_entries(self) -> impl Iterator<Item = (usize, &'e RecordedEvent, Option<Outcome<E>>)> {
        let (batch, mut decoded) = (self.batch, self.decoded.into_iter());
        self.places.into_iter().filter_map(move |place| Some((place, batch.get(place)?, decoded.next())))
    }

    /// Splits it into so many lots, in order, by the number of each event's.
    pub(super) fn split(self, lots: u16, number: impl Fn(&RecordedEvent) -> usize) -> Vec<Self> {
        let batch = self.batch;
        let mut split: Vec<_> = (0..lots).map(|_| Self { batch, ..Self::default() }).collect();
        for (place, event, decoded) in self.into_entries() {
            if let Some(lot) = split.get_mut(number(event)) {
                lot.places.push(place);
                lot.decoded.extend(decoded);
            }
        }
        split
    }

    /// Keeps the events for which this holds.
    pub(super) fn retain(&mut self, keep: impl Fn(&RecordedEvent) -> bool) {
        let batch = self.batch;
        let mut kept = Self { batch, ..Self::default() };
        for (place, event, decoded) in std::mem::take(self).into_entries() {
            if keep(event) {
                kept.places.push(place);
                kept.decoded.extend(decoded);
            }
        }
        *self = kept;
    }
}
