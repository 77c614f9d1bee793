//! A projection bound to one instance of its rows: the transactions in which its events are applied.

use std::{
    any::Any,
    error::Error,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use annalist_core::{Cursor, Position, RecordedEvent};
use async_trait::async_trait;
use futures_util::{FutureExt, future::join_all};

use super::{
    instance::{Decoded, Failure, Fault, Instance, Parking, chain},
    lot::{DecodedAs, Lot},
    model::{Kept, ModelError, Projection, ReadModel, Unfinished, is_store_error},
    parking::{OnFailure, Parked},
    partition::{Partition, first_failure},
};
use crate::event::{DecodeError, Recorded};

/// See the module.
pub(super) struct Bound<P: Projection> {
    projection: Arc<P>,
    model: P::Model,
    /// Whether some partitions, of which there were several before, were found ahead of the cursor.
    uneven: AtomicBool,
}

type Transaction<P> = <<P as Projection>::Model as ReadModel>::Tx;

/// Which events of a batch a transaction is for.
#[derive(Clone, Copy)]
enum Share {
    /// All of them; it moves the cursor of the instance.
    Whole { first: Position },
    /// Those of a partition; it moves the partition's own mark.
    Part(Partition),
}

/// What was decoded of a lot.
struct Taken<E> {
    events: Vec<Recorded<E>>,
    /// The place of each of them among the events of the batch.
    places: Vec<usize>,
    /// The keys of those that were parked.
    parked: Vec<String>,
}

impl<P: Projection> Bound<P> {
    /// Binds a projection to rows. A projection with partitions on a read model without does not compile.
    pub(super) fn new(projection: Arc<P>, model: P::Model) -> Self {
        const {
            assert!(P::PARTITIONS > 0, "a projection has at least one partition");
            assert!(
                P::PARTITIONS == 1 || P::Model::PARTITIONS,
                "the read model of this projection takes one transaction at a time: leave `PARTITIONS` at 1"
            );
        }
        Self { projection, model, uneven: AtomicBool::new(false) }
    }

    fn beside(&self, model: P::Model) -> Arc<dyn Instance> {
        Arc::new(Self::new(Arc::clone(&self.projection), model))
    }

    /// Begins a transaction for these events, which must not be in the rows; drops those from the lot that are, where that
    /// is as it should be.
    ///
    /// They may be there: a transaction that was dropped while it was being committed, by a runner before this one, comes
    /// through when it likes. If it did so before this began, this sees it here; if it does so later, this is not committed.
    async fn begin<'e>(
        &self,
        share: Share,
        mut lot: Lot<'e, P::Event>,
    ) -> Result<(Transaction<P>, Lot<'e, P::Event>), Failure> {
        match share {
            Share::Whole { first } => {
                let (tx, seen) = self.model.begin().await?;
                if seen.position < first { Ok((tx, lot)) } else { Err(Failure::overtaken()) }
            }
            Share::Part(partition) => {
                let (tx, reached) = self.model.begin_partition(partition).await?;
                if !reached.is_empty() {
                    lot.retain(|event| {
                        let key = self.projection.key(event);
                        !reached.iter().any(|reached| reached.includes(&key, event.position))
                    });
                }
                Ok((tx, lot))
            }
        }
    }

    async fn commit(tx: Transaction<P>, share: Share, cursor: Cursor) -> Result<(), Failure> {
        match share {
            Share::Whole { .. } => P::Model::commit(tx, cursor).await?,
            Share::Part(partition) => P::Model::commit_partition(tx, partition, cursor.position).await?,
        }
        Ok(())
    }

    /// Applies a lot in one transaction, and commits it.
    async fn apply_lot(
        &self,
        share: Share,
        lot: Lot<'_, P::Event>,
        cursor: Cursor,
        parking: Option<Parking<'_>>,
    ) -> Result<Vec<String>, Failure> {
        let again = (P::APPLIES_ALL && lot.len() > 1).then(|| lot.undecoded());
        let (mut tx, lot) = self.begin(share, lot).await?;
        if lot.is_empty() {
            return Ok(Vec::new());
        }
        let mut taken = self.take(&mut tx, lot, cursor, parking).await?;
        if let Some(lot) = again {
            if self.apply_all(&mut tx, &taken).await {
                Self::commit(tx, share, cursor).await?;
                return Ok(taken.parked);
            }
            drop(tx);
            let begun = self.begin(share, lot).await?;
            tx = begun.0;
            taken = self.take(&mut tx, begun.1, cursor, parking).await?;
        }
        self.apply_each(&mut tx, &taken).await?;
        Self::commit(tx, share, cursor).await?;
        Ok(taken.parked)
    }

    /// Applies events in a transaction for each partition that has some, at the same time, and then moves the cursor of the
    /// instance past all of them. Whatever happens in between, what a partition has is not applied to it again.
    async fn apply_apart(
        &self,
        lot: Lot<'_, P::Event>,
        first: Position,
        cursor: Cursor,
        parking: Option<Parking<'_>>,
    ) -> Result<Vec<String>, Failure> {
        let key = |event: &RecordedEvent| Partition::of(&self.projection.key(event), P::PARTITIONS);
        let lots = lot.split(P::PARTITIONS, |event| usize::from(key(event).number));
        let lots = lots.into_iter().zip(0..).filter(|(lot, _)| !lot.is_empty());
        let applying = lots.map(|(lot, number)| {
            let share = Share::Part(Partition { number, of: P::PARTITIONS });
            self.apply_lot(share, lot, cursor, parking)
        });
        let parked = first_failure(join_all(applying).await)?;
        self.advance(first, cursor).await?;
        Ok(parked.into_iter().flatten().collect())
    }

    /// Moves the cursor of the instance: every partition has its events up to there.
    async fn advance(&self, first: Position, cursor: Cursor) -> Result<(), Failure> {
        let (tx, _) = self.begin(Share::Whole { first }, Lot::default()).await?;
        Ok(P::Model::commit(tx, cursor).await?)
    }

    /// Decodes events; those of keys that are parked are parked too, and told. The error names the event.
    async fn take(
        &self,
        tx: &mut Transaction<P>,
        lot: Lot<'_, P::Event>,
        cursor: Cursor,
        parking: Option<Parking<'_>>,
    ) -> Result<Taken<P::Event>, Failure> {
        let parking = parking.filter(|parking| !parking.keys.is_empty());
        let mut taken = Taken { events: Vec::with_capacity(lot.len()), places: Vec::new(), parked: Vec::new() };
        for (index, event, decoded) in lot.into_entries() {
            let behind = parking.and_then(|Parking { keys, now }| {
                let key = self.projection.key(event);
                keys.holds(&key).then(|| (key.into_owned(), now))
            });
            let decode = || Recorded::decode(event.clone(), cursor.at(event.position));
            let decoded = match decoded {
                Some(decoded) => decoded,
                None => catch_unwind(AssertUnwindSafe(decode)).map_err(|panic| panicked(index, event, &*panic))?,
            };
            if let Some((key, time)) = behind {
                // What is of no interest does not wait.
                if !matches!(decoded, Ok(None)) {
                    let note = Parked { key, position: event.position, error: None, attempts: 0, time };
                    P::Model::park(tx, &note).await?;
                    taken.parked.push(note.key);
                }
                continue;
            }
            // The same bytes will not decode the next time either.
            let unreadable = |error: DecodeError| failed(index, event, false, Fault::Event, &chain(&error));
            if let Some(event) = decoded.map_err(unreadable)? {
                taken.events.push(event);
                taken.places.push(index);
            }
        }
        Ok(taken)
    }

    /// Applies events one by one; the error names the event.
    async fn apply_each(&self, tx: &mut Transaction<P>, taken: &Taken<P::Event>) -> Result<(), Failure> {
        for (event, index) in taken.events.iter().zip(&taken.places) {
            let applying = AssertUnwindSafe(self.projection.apply(event, tx)).catch_unwind();
            match applying.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let error = error.into_inner();
                    return Err(failed(*index, &event.record, true, fault::<P::Model>(&*error), &chain(&*error)));
                }
                Err(panic) => return Err(panicked(*index, &event.record, &*panic)),
            }
        }
        Ok(())
    }

    /// Applies events together; tells whether that went well. If not, they are to be applied one by one, which will say
    /// what is wrong.
    async fn apply_all(&self, tx: &mut Transaction<P>, taken: &Taken<P::Event>) -> bool {
        let applying = AssertUnwindSafe(self.projection.apply_all(&taken.events, tx)).catch_unwind();
        matches!(applying.await, Ok(Ok(())))
    }
}

/// A failure at an event.
fn failed(index: usize, event: &RecordedEvent, transient: bool, fault: Fault, error: &str) -> Failure {
    let error = format!("{}.v{} of {}: {error}", event.type_name(), event.type_version(), event.stream());
    Failure { at: Some((index, event.position)), fault, transient, error }
}

fn panicked(index: usize, event: &RecordedEvent, panic: &(dyn Any + Send)) -> Failure {
    failed(index, event, false, Fault::Event, &format!("the projection panicked: {}", message(panic)))
}

/// Whose fault it is that an event could not be applied.
fn fault<M: ReadModel>(error: &(dyn Error + 'static)) -> Fault {
    if M::is_outage(error) {
        return Fault::Outage;
    }
    if is_store_error(error) { Fault::Other } else { Fault::Event }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

#[async_trait]
impl<P: Projection> Instance for Bound<P> {
    async fn apply(
        &self,
        events: &[RecordedEvent],
        decoded: Option<Decoded>,
        cursor: Cursor,
        parking: Option<Parking<'_>>,
    ) -> Result<Vec<String>, Failure> {
        let Some(first) = events.first() else { return Ok(Vec::new()) };
        let decoded = decoded.and_then(|decoded| decoded.downcast::<DecodedAs<P::Event>>().ok());
        let lot = Lot::new(events, decoded.map(|decoded| *decoded).unwrap_or_default());
        if self.is_split() {
            return self.apply_apart(lot, first.position, cursor, parking).await;
        }
        self.apply_lot(Share::Whole { first: first.position }, lot, cursor, parking).await
    }

    fn decode(&self, events: &[RecordedEvent], log: Cursor) -> Decoded {
        let decode = |event: &RecordedEvent| Recorded::<P::Event>::decode(event.clone(), log.at(event.position));
        // What makes this panic does so again when its turn comes, where that is said.
        let decode = |event| catch_unwind(AssertUnwindSafe(|| decode(event))).ok();
        Box::new(events.iter().map_while(decode).collect::<DecodedAs<P::Event>>())
    }

    async fn park(&self, parked: &Parked, cursor: Cursor) -> Result<bool, Failure> {
        if !self.is_split() {
            let (mut tx, _) = self.begin(Share::Whole { first: parked.position }, Lot::default()).await?;
            P::Model::park(&mut tx, parked).await?;
            P::Model::commit(tx, cursor).await?;
            return Ok(true);
        }
        let partition = Partition::of(&parked.key, P::PARTITIONS);
        let (mut tx, reached) = self.model.begin_partition(partition).await?;
        let applied = reached.iter().any(|reached| reached.includes(&parked.key, parked.position));
        if !applied {
            P::Model::park(&mut tx, parked).await?;
            P::Model::commit_partition(tx, partition, cursor.position).await?;
        }
        self.advance(parked.position, cursor).await?;
        Ok(!applied)
    }

    // What people do about parked events, from here on, leaves the cursor where the transaction finds it: one that a runner before
    // has dropped may have moved it since it was last looked at, and events would be applied twice.
    async fn note(&self, parked: &Parked) -> Result<(), Failure> {
        let (mut tx, at) = self.model.begin().await?;
        P::Model::park(&mut tx, parked).await?;
        P::Model::commit(tx, at).await.map_err(Failure::from)
    }

    async fn unpark(&self, key: &str, events: &[RecordedEvent], cursor: Cursor) -> Result<(), Failure> {
        let Some(first) = events.first() else { return Ok(()) };
        let (mut tx, at) = self.model.begin().await?;
        // As in `begin`: another transaction may have applied them.
        let parked = self.model.parked(Some((key, first.position.previous())), events.len()).await;
        let parked = parked?;
        if !parked.iter().map(|parked| parked.position).eq(events.iter().map(|event| event.position)) {
            return Err(Failure::overtaken());
        }
        let taken = self.take(&mut tx, Lot::new(events, Vec::new()), cursor, None).await?;
        self.apply_each(&mut tx, &taken).await?;
        for event in events {
            P::Model::unpark(&mut tx, key, event.position).await?;
        }
        P::Model::commit(tx, at).await.map_err(Failure::from)
    }

    async fn forget(&self, key: &str, positions: &[Position]) -> Result<(), Failure> {
        let (mut tx, at) = self.model.begin().await?;
        for position in positions {
            P::Model::unpark(&mut tx, key, *position).await?;
        }
        P::Model::commit(tx, at).await.map_err(Failure::from)
    }

    async fn parked(&self, after: Option<(&str, Position)>, limit: usize) -> Result<Vec<Parked>, ModelError> {
        self.model.parked(after, limit).await
    }

    fn on_failure(&self) -> OnFailure {
        self.projection.on_failure()
    }

    fn key(&self, event: &RecordedEvent) -> String {
        self.projection.key(event).into_owned()
    }

    fn can_park(&self) -> bool {
        P::Model::PARKS
    }

    fn is_split(&self) -> bool {
        P::PARTITIONS > 1 || self.uneven.load(Ordering::Relaxed)
    }

    async fn cursor(&self) -> Result<Cursor, ModelError> {
        let cursor = self.model.cursor().await?;
        if P::Model::PARTITIONS && P::PARTITIONS == 1 {
            self.uneven.store(!self.model.reached().await?.is_empty(), Ordering::Relaxed);
        }
        Ok(cursor)
    }

    async fn farthest(&self) -> Result<Position, ModelError> {
        if !P::Model::PARTITIONS {
            return Ok(Position::ZERO);
        }
        let reached = self.model.reached().await?;
        Ok(reached.iter().map(|reached| reached.position).max().unwrap_or_default())
    }

    async fn is_live(&self) -> Result<bool, ModelError> {
        self.model.is_live().await
    }

    async fn shadow(&self) -> Result<Arc<dyn Instance>, ModelError> {
        Ok(self.beside(self.model.shadow().await?))
    }

    async fn promote(&self, keep_previous: bool) -> Result<(), ModelError> {
        if keep_previous { self.model.promote_keeping().await } else { self.model.promote().await }
    }

    async fn keep(&self, unfinished: Unfinished) -> Result<(), ModelError> {
        self.model.keep(unfinished).await
    }

    async fn kept(&self) -> Result<Vec<(Arc<dyn Instance>, Kept)>, ModelError> {
        let kept = self.model.kept().await?;
        Ok(kept.into_iter().map(|(model, why)| (self.beside(model), why)).collect())
    }

    fn can_keep(&self) -> bool {
        P::Model::KEEPS
    }

    async fn discard(&self) -> Result<(), ModelError> {
        self.model.discard().await
    }
}
