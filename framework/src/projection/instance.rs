//! A projection bound to one instance of its rows, behind one object-safe trait: what runner and rebuild work with.

use std::{any::Any, error::Error, panic::AssertUnwindSafe, sync::Arc};

use annalist_core::{Cursor, Position, RecordedEvent};
use async_trait::async_trait;
use futures_util::FutureExt;

use super::model::{ModelError, Projection, ReadModel};
use crate::event::Recorded;

/// See the module.
#[async_trait]
pub(super) trait Instance: Send + Sync {
    /// Applies events in one transaction and commits it with the cursor of the last; returns how many were of interest.
    async fn apply(&self, events: &[RecordedEvent], cursor: Cursor) -> Result<usize, Failure>;

    async fn cursor(&self) -> Result<Cursor, ModelError>;
    async fn is_live(&self) -> Result<bool, ModelError>;
    async fn shadow(&self) -> Result<Arc<dyn Instance>, ModelError>;
    async fn promote(&self) -> Result<(), ModelError>;
    async fn discard(&self) -> Result<(), ModelError>;
}

/// Why a transaction was rolled back.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// Which of the events it was, and its position; `None` if it was none of them.
    pub(super) at: Option<(usize, Position)>,
    /// Whether trying again can help.
    pub(super) transient: bool,
    /// Whether it is only that the read model's store is away: then it is tried again for as long as it takes.
    pub(super) outage: bool,
    /// What went wrong, with all its causes.
    pub(super) error: String,
}

impl Failure {
    /// A failure that concerns no single event.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        Self { at: None, transient: true, outage: false, error: chain(error) }
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        let outage = matches!(error, ModelError::Unavailable(_));
        let transient = !matches!(error, ModelError::Fenced { .. });
        Self { transient, outage, ..Self::of(&error) }
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
    /// Applies events to a transaction; the error names the event.
    async fn apply_to(
        &self,
        tx: &mut <P::Model as ReadModel>::Tx,
        events: &[RecordedEvent],
        cursor: Cursor,
    ) -> Result<usize, Failure> {
        let mut applied = 0;
        for (index, event) in events.iter().enumerate() {
            let failed = |transient, error: String| {
                let what = format!("{}.v{} of {}", event.type_name(), event.type_version(), event.stream());
                let (at, error) = (Some((index, event.position)), format!("{what}: {error}"));
                Failure { at, transient, outage: false, error }
            };
            let decoded = Recorded::<P::Event>::decode(event.clone(), cursor.at(event.position));
            // The same bytes will not decode the next time either.
            let Some(event) = decoded.map_err(|error| failed(false, chain(&error)))? else { continue };
            let applying = AssertUnwindSafe(self.projection.apply(&event, tx)).catch_unwind();
            match applying.await {
                Ok(Ok(())) => applied += 1,
                Ok(Err(error)) => return Err(failed(true, chain(&*error.into_inner()))),
                Err(panic) => return Err(failed(false, format!("the projection panicked: {}", message(&*panic)))),
            }
        }
        Ok(applied)
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

#[async_trait]
impl<P: Projection> Instance for Bound<P> {
    async fn apply(&self, events: &[RecordedEvent], cursor: Cursor) -> Result<usize, Failure> {
        let mut tx = self.model.begin().await?;
        let applied = self.apply_to(&mut tx, events, cursor).await?;
        P::Model::commit(tx, cursor).await?;
        Ok(applied)
    }

    async fn cursor(&self) -> Result<Cursor, ModelError> {
        self.model.cursor().await
    }

    async fn is_live(&self) -> Result<bool, ModelError> {
        self.model.is_live().await
    }

    async fn shadow(&self) -> Result<Arc<dyn Instance>, ModelError> {
        let model = self.model.shadow().await?;
        Ok(Arc::new(Self { projection: Arc::clone(&self.projection), model }))
    }

    async fn promote(&self) -> Result<(), ModelError> {
        self.model.promote().await
    }

    async fn discard(&self) -> Result<(), ModelError> {
        self.model.discard().await
    }
}
