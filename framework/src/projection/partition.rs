//! Partitions: the events of a projection by keys, in transactions beside each other.

use annalist_core::Position;
use sha2::{Digest, Sha256};

use super::instance::{Failure, Fault};

/// One of so many partitions of a projection's events: those of some of its [keys](super::Projection::key).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Partition {
    /// Which one, from 0.
    pub number: u16,
    /// How many there are.
    pub of: u16,
}

impl Partition {
    /// The partition of a key. It never changes: marks of partitions are durable.
    #[must_use]
    pub fn of(key: &str, of: u16) -> Self {
        let hash: [u8; 32] = Sha256::digest(key).into();
        let (hash, _) = hash.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        let number = u64::from_le_bytes(*hash) % u64::from(of.max(1));
        Self { number: u16::try_from(number).unwrap_or_default(), of }
    }
}

/// How far a partition is: it has its events up to there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reached {
    /// The partition, which may be one of another number of them: the service may have been given another since.
    pub partition: Partition,
    /// Its last event, or a later position.
    pub position: Position,
}

impl Reached {
    /// Whether it has an event of a key.
    pub(super) fn includes(&self, key: &str, position: Position) -> bool {
        position <= self.position && Partition::of(key, self.partition.of) == self.partition
    }
}

/// All results, or the failure that is to be seen to first: one that is none of an event's, otherwise that of the first event.
pub(super) fn first_failure<T>(results: Vec<Result<T, Failure>>) -> Result<Vec<T>, Failure> {
    let urgency = |failure: &Failure| match failure.fault {
        Fault::Outage => (0, None),
        Fault::Fenced | Fault::Foreign => (1, None),
        Fault::Event | Fault::Other => (2, failure.at),
    };
    let mut first = None::<Failure>;
    let mut done = Vec::with_capacity(results.len());
    for result in results {
        match result {
            Ok(result) => done.push(result),
            Err(failure) if first.as_ref().is_none_or(|first| urgency(&failure) < urgency(first)) => {
                first = Some(failure);
            }
            Err(_) => {}
        }
    }
    first.map_or(Ok(done), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(fault: Fault, at: Option<usize>) -> Failure {
        let at = at.map(|index| (index, Position::new(index as u64 + 1)));
        Failure { at, fault, transient: true, error: String::new() }
    }

    #[test]
    fn a_key_stays_in_its_partition_in_every_version() {
        let numbers = |of| ["account-alice", "account-bob", "", "ä"].map(|key| Partition::of(key, of).number);
        assert_eq!(numbers(1), [0; 4]);
        assert_eq!(numbers(4), [3, 0, 3, 3]);
        assert_eq!(numbers(7), [0, 3, 5, 2]);
    }

    #[test]
    fn keys_spread_over_all_partitions() {
        let mut count = [0; 8];
        for key in 0..8000 {
            count[usize::from(Partition::of(&format!("account-{key}"), 8).number)] += 1;
        }
        assert!(count.iter().all(|count| (800..1200).contains(count)), "{count:?}");
    }

    #[test]
    fn the_first_event_fails_unless_something_larger_is_wrong() {
        let event = |index| failure(Fault::Event, Some(index));
        let at = |failures: Vec<Failure>| {
            let failed = first_failure(failures.into_iter().map(Err::<(), _>).collect()).unwrap_err();
            (failed.fault, failed.at.map(|(index, _)| index))
        };
        assert_eq!(at(vec![event(7), event(3), event(5)]), (Fault::Event, Some(3)));
        assert_eq!(at(vec![event(0), failure(Fault::Other, None)]), (Fault::Other, None));
        assert_eq!(at(vec![event(0), failure(Fault::Outage, Some(4))]), (Fault::Outage, Some(4)));
        assert_eq!(at(vec![failure(Fault::Fenced, None), failure(Fault::Outage, None)]), (Fault::Outage, None));
        assert_eq!(first_failure(vec![Ok(1), Ok(2)]).unwrap(), [1, 2]);
    }
}
