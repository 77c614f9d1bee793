//! A projection bound to one instance of its rows, behind one object-safe trait: what runner and rebuild work with.

use std::{
    any::Any,
    error::Error,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use annalist_core::{Cursor, Position, RecordedEvent, Timestamp};
use async_trait::async_trait;
use futures_util::FutureExt;

use super::{
    model::{Kept, ModelError, Projection, ReadModel, Unfinished, is_store_error},
    parking::{OnFailure, Parked, ParkedKeys},
};
use crate::event::{DecodeError, Recorded};

/// See the module.
#[async_trait]
pub(super) trait Instance: Send + Sync {
    /// Applies events in one transaction and commits it with the cursor of the last. Those of keys that are parked are
    /// parked too; returns the key of each such event.
    ///
    /// What was decoded before of just these events need not be decoded again.
    async fn apply(
        &self,
        events: &[RecordedEvent],
        decoded: Option<Decoded>,
        cursor: Cursor,
        parking: Option<Parking<'_>>,
    ) -> Result<Vec<String>, Failure>;

    /// Decodes events, which is work for a processor and nothing else. `log` says of which log they are.
    fn decode(&self, events: &[RecordedEvent], log: Cursor) -> Decoded;

    /// Notes the next event as parked in one transaction and commits it with this cursor.
    async fn park(&self, parked: &Parked, cursor: Cursor) -> Result<(), Failure>;

    /// Replaces the note of an event that is parked, and leaves the cursor alone.
    async fn note(&self, parked: &Parked, cursor: Cursor) -> Result<(), Failure>;

    /// Applies parked events of a key in one transaction, which also removes their notes and leaves the cursor alone.
    async fn unpark(&self, key: &str, events: &[RecordedEvent], cursor: Cursor) -> Result<(), Failure>;

    /// Removes the notes of parked events of a key, in one transaction that leaves the cursor alone.
    async fn forget(&self, key: &str, positions: &[Position], cursor: Cursor) -> Result<(), Failure>;

    async fn parked(&self, after: Option<(&str, Position)>, limit: usize) -> Result<Vec<Parked>, ModelError>;

    fn on_failure(&self) -> OnFailure;
    fn key(&self, event: &RecordedEvent) -> String;

    /// Whether the read model can keep parked events.
    fn can_park(&self) -> bool;

    async fn cursor(&self) -> Result<Cursor, ModelError>;
    async fn is_live(&self) -> Result<bool, ModelError>;
    async fn shadow(&self) -> Result<Arc<dyn Instance>, ModelError>;
    async fn promote(&self, keep_previous: bool) -> Result<(), ModelError>;
    async fn keep(&self, unfinished: Unfinished) -> Result<(), ModelError>;
    async fn kept(&self) -> Result<Vec<(Arc<dyn Instance>, Kept)>, ModelError>;
    /// Whether the read model can keep instances.
    fn can_keep(&self) -> bool;
    async fn discard(&self) -> Result<(), ModelError>;
}

/// Decoded events, of the type that their projection follows.
pub(super) type Decoded = Box<dyn Any + Send>;

/// [`Decoded`], for those who know the type.
type DecodedAs<E> = Vec<Result<Option<Recorded<E>>, DecodeError>>;

/// What is parked already, for a batch that may add to it.
#[derive(Clone, Copy)]
pub(super) struct Parking<'a> {
    pub(super) keys: &'a ParkedKeys,
    pub(super) now: Timestamp,
}

/// Parked events that are read at once.
const PARKED_PAGE: usize = 1000;

/// The keys of all parked events of an instance.
pub(super) async fn parked_keys(instance: &dyn Instance) -> Result<ParkedKeys, ModelError> {
    let mut keys = ParkedKeys::default();
    let mut last = None::<Parked>;
    loop {
        let after = last.as_ref().map(|parked| (parked.key.as_str(), parked.position));
        let page = instance.parked(after, PARKED_PAGE).await?;
        for parked in &page {
            keys.add(parked.key.clone());
        }
        match page.last() {
            Some(parked) if page.len() == PARKED_PAGE => last = Some(parked.clone()),
            _ => return Ok(keys),
        }
    }
}

/// Why a transaction was rolled back.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// Which of the events it was, and its position; `None` if it was none of them.
    pub(super) at: Option<(usize, Position)>,
    /// What is to be done about it.
    pub(super) fault: Fault,
    /// Whether trying again can help.
    pub(super) transient: bool,
    /// What went wrong, with all its causes.
    pub(super) error: String,
}

/// Where a failure comes from. Each leads to another thing that is done about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// The event: parking it would get the others on.
    Event,
    /// The view belongs to another log: it is to be rebuilt.
    Foreign,
    /// The read model's store is away: it is waited for.
    Outage,
    /// Somebody else has the instance now: it is left to him.
    Fenced,
    /// Something else: the projection stops if trying again does not help.
    Other,
}

impl Failure {
    /// A failure that concerns no single event.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        Self { at: None, fault: Fault::Other, transient: true, error: chain(error) }
    }

    /// The instance is not as its writer knows it: it must look again.
    pub(super) fn moved(error: String) -> Self {
        Self { at: None, fault: Fault::Other, transient: true, error }
    }

    /// A transaction was made for rows that are not those any more.
    fn overtaken() -> Self {
        Self::moved("another transaction has changed the view meanwhile".to_owned())
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        let fault = match &error {
            ModelError::Unavailable(_) => Fault::Outage,
            ModelError::Fenced { .. } => Fault::Fenced,
            _ => Fault::Other,
        };
        Self { fault, transient: fault != Fault::Fenced, ..Self::of(&error) }
    }
}

/// An error with its causes.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // A transparent error says what its cause says.
        if !text.ends_with(&cause.to_string()) {
            text = format!("{text}: {cause}");
        }
        source = cause.source();
    }
    text
}

pub(super) struct Bound<P: Projection> {
    pub(super) projection: Arc<P>,
    pub(super) model: P::Model,
}

impl<P: Projection> Bound<P> {
    fn beside(&self, model: P::Model) -> Arc<dyn Instance> {
        Arc::new(Self { projection: Arc::clone(&self.projection), model })
    }

    async fn begin(&self) -> Result<Transaction<P>, Failure> {
        Ok(self.model.begin().await?.0)
    }

    /// Begins a transaction that is to bring an event, which must not be in the rows.
    ///
    /// It may be: a transaction that was dropped while it was being committed, by a runner before this one, comes through
    /// when it likes. If it did so before this began, this sees it here; if it does so later, this is not committed.
    async fn begin_with(&self, first: Position) -> Result<Transaction<P>, Failure> {
        let (tx, seen) = self.model.begin().await?;
        if seen.position < first { Ok(tx) } else { Err(Failure::overtaken()) }
    }

    /// Decodes events; those of keys that are parked are parked too, and told. The error names the event.
    async fn take(
        &self,
        tx: &mut Transaction<P>,
        events: &[RecordedEvent],
        decoded: Option<Decoded>,
        cursor: Cursor,
        parking: Option<Parking<'_>>,
    ) -> Result<Taken<P::Event>, Failure> {
        let decoded = decoded.and_then(|decoded| decoded.downcast::<DecodedAs<P::Event>>().ok());
        let mut decoded = decoded.map(|decoded| decoded.into_iter());
        let parking = parking.filter(|parking| !parking.keys.is_empty());
        let mut taken = Taken { events: Vec::with_capacity(events.len()), places: Vec::new(), parked: Vec::new() };
        for (index, event) in events.iter().enumerate() {
            let behind = parking.and_then(|Parking { keys, now }| {
                let key = self.projection.key(event);
                keys.holds(&key).then(|| (key.into_owned(), now))
            });
            let decode = || Recorded::decode(event.clone(), cursor.at(event.position));
            let decoded = match decoded.as_mut().and_then(Iterator::next) {
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

/// Events that are to be applied, and what became of the others.
struct Taken<E> {
    events: Vec<Recorded<E>>,
    /// The place of each of them among all events.
    places: Vec<usize>,
    /// The keys of those that were parked.
    parked: Vec<String>,
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

type Transaction<P> = <<P as Projection>::Model as ReadModel>::Tx;

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
        let mut tx = self.begin_with(first.position).await?;
        let mut taken = self.take(&mut tx, events, decoded, cursor, parking).await?;
        if P::APPLIES_ALL && taken.events.len() > 1 {
            if self.apply_all(&mut tx, &taken).await {
                P::Model::commit(tx, cursor).await?;
                return Ok(taken.parked);
            }
            drop(tx);
            tx = self.begin_with(first.position).await?;
            taken = self.take(&mut tx, events, None, cursor, parking).await?;
        }
        self.apply_each(&mut tx, &taken).await?;
        P::Model::commit(tx, cursor).await?;
        Ok(taken.parked)
    }

    fn decode(&self, events: &[RecordedEvent], log: Cursor) -> Decoded {
        let decode = |event: &RecordedEvent| Recorded::<P::Event>::decode(event.clone(), log.at(event.position));
        // What makes this panic does so again when its turn comes, where that is said.
        let decode = |event| catch_unwind(AssertUnwindSafe(|| decode(event))).ok();
        Box::new(events.iter().map_while(decode).collect::<DecodedAs<P::Event>>())
    }

    async fn park(&self, parked: &Parked, cursor: Cursor) -> Result<(), Failure> {
        let mut tx = self.begin_with(parked.position).await?;
        P::Model::park(&mut tx, parked).await?;
        P::Model::commit(tx, cursor).await.map_err(Failure::from)
    }

    async fn note(&self, parked: &Parked, cursor: Cursor) -> Result<(), Failure> {
        let mut tx = self.begin().await?;
        P::Model::park(&mut tx, parked).await?;
        P::Model::commit(tx, cursor).await.map_err(Failure::from)
    }

    async fn unpark(&self, key: &str, events: &[RecordedEvent], cursor: Cursor) -> Result<(), Failure> {
        let Some(first) = events.first() else { return Ok(()) };
        let mut tx = self.begin().await?;
        // As in `begin_with`: another transaction may have applied them.
        let parked = self.model.parked(Some((key, first.position.previous())), events.len()).await;
        let parked = parked?;
        if !parked.iter().map(|parked| parked.position).eq(events.iter().map(|event| event.position)) {
            return Err(Failure::overtaken());
        }
        let taken = self.take(&mut tx, events, None, cursor, None).await?;
        self.apply_each(&mut tx, &taken).await?;
        for event in events {
            P::Model::unpark(&mut tx, key, event.position).await?;
        }
        P::Model::commit(tx, cursor).await.map_err(Failure::from)
    }

    async fn forget(&self, key: &str, positions: &[Position], cursor: Cursor) -> Result<(), Failure> {
        let mut tx = self.begin().await?;
        for position in positions {
            P::Model::unpark(&mut tx, key, *position).await?;
        }
        P::Model::commit(tx, cursor).await.map_err(Failure::from)
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

    async fn cursor(&self) -> Result<Cursor, ModelError> {
        self.model.cursor().await
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
