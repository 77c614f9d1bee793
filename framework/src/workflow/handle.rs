//! A running workflow, to be looked at and operated.

use std::{fmt, marker::PhantomData, time::Duration};

use annalist_core::{Cursor, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    model::Workflow,
    process::{Direction, Mark, Process, StepState},
    steps::Steps,
};
use crate::saga::{Audit, EffectId, InstanceState, InstanceStatus, Saga, SagaError, SagaHandle};

/// A running workflow. Cheap to clone.
pub struct WorkflowHandle<W> {
    saga: SagaHandle,
    workflow: PhantomData<fn() -> W>,
}

/// One instance of a workflow.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct WorkflowStatus<W> {
    /// Its key.
    pub key: String,
    /// What has become of it.
    pub state: WorkflowState,
    /// The steps that it has gone through, or is going through, in order: their names, and what has become of each.
    pub steps: Vec<(String, StepState)>,
    /// Why it turned back, if it did.
    pub turned_back: Option<String>,
    /// What its steps know; `None` if its first event could not be taken in.
    pub data: Option<W>,
    /// When it began.
    pub began: Timestamp,
    /// When something was last recorded of it.
    pub changed: Timestamp,
}

/// What has become of an instance of a workflow.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum WorkflowState {
    /// It goes from step to step.
    Running,
    /// It has turned back, and undoes what was done.
    Compensating,
    /// It goes on when a person has looked at it: [`WorkflowHandle::retry`], [`WorkflowHandle::skip`] or
    /// [`WorkflowHandle::force`].
    Waiting {
        /// What is in the way.
        why: String,
        /// Since when.
        since: Timestamp,
        /// The command that is to be tried again, skipped or forced; `None` if it waits because the program failed.
        command: Option<EffectId>,
    },
    /// The end: all steps are done.
    Done,
    /// The end: all steps that were done are undone, or given up by a person.
    Compensated,
}

impl<W: Workflow> WorkflowHandle<W> {
    pub(crate) const fn new(saga: SagaHandle) -> Self {
        Self { saga, workflow: PhantomData }
    }

    /// The workflow as the saga that it is: for its status and for what is not in here.
    #[must_use]
    pub const fn saga(&self) -> &SagaHandle {
        &self.saga
    }

    /// The instance with a key.
    ///
    /// # Errors
    /// [`SagaError`] when it cannot be read.
    pub async fn instance(&self, key: &str) -> Result<Option<WorkflowStatus<W>>, SagaError> {
        self.saga.instance(key).await?.map(status).transpose()
    }

    /// Waits until an instance is done, is compensated, or waits for a person. It need not have begun yet.
    ///
    /// # Errors
    /// [`SagaError::UnderWay`] when it takes longer than `patience`; otherwise when it cannot be read.
    pub async fn ended(&self, key: &str, patience: Duration) -> Result<WorkflowStatus<W>, SagaError> {
        status(self.saga.ended(key, patience).await?)
    }

    /// Instances that wait for a person, the longest waiting first, at most `limit`.
    ///
    /// # Errors
    /// [`SagaError`] when they cannot be read.
    pub async fn waiting(&self, limit: usize) -> Result<Vec<WorkflowStatus<W>>, SagaError> {
        self.saga.quarantined(limit).await?.into_iter().map(status).collect()
    }

    /// Lets an instance that waits for a person try again what has failed: once, then it waits again. Who had it done and
    /// why is recorded.
    ///
    /// # Errors
    /// [`SagaError::NotQuarantined`] when it does not wait; otherwise when it cannot be recorded.
    pub async fn retry(&self, key: &str, audit: Audit) -> Result<Cursor, SagaError> {
        self.saga.release(key, audit).await
    }

    /// Gives up the command that an instance waits for, and lets it go on. Given up is a compensation: what it was to undo
    /// stays, and the steps before are undone; or a step behind the pivot: the next ones follow; or another step: the
    /// workflow turns back. Who had it done and why is recorded.
    ///
    /// # Errors
    /// [`SagaError::NotPending`] when there is no such command any more; otherwise when it cannot be recorded.
    pub async fn skip(&self, key: &str, command: EffectId, audit: Audit) -> Result<Cursor, SagaError> {
        self.saga.skip(key, command, audit).await
    }

    /// Counts the command that an instance waits for as done, with this reply: the person has seen to it by other means. A
    /// step that waits for an event does not wait for it any more. Who had it done and why is recorded.
    ///
    /// # Errors
    /// [`SagaError::NotPending`] when there is no such command any more; [`SagaError::Reply`] when the step reads the reply
    /// and this is none; otherwise when it cannot be recorded.
    pub async fn force(
        &self,
        key: &str,
        command: EffectId,
        reply: impl Serialize + Send,
        audit: Audit,
    ) -> Result<Cursor, SagaError> {
        let reply = serde_json::to_value(reply).map_err(|error| SagaError::Reply { why: error.to_string() })?;
        let instance = self.saga.instance(key).await?;
        let sent = instance.iter().flat_map(|instance| &instance.pending).find(|sent| sent.id() == command);
        if let Some(mark) = sent.and_then(|sent| Mark::deserialize(sent.note()).ok()) {
            check_reply::<W>(&mark, &reply).map_err(|why| SagaError::Reply { why })?;
        }
        self.saga.force(key, command, reply, audit).await
    }
}

fn check_reply<W: Workflow>(mark: &Mark, reply: &Value) -> Result<(), String> {
    let steps = Steps::<W>::of_workflow();
    let (_, step) = steps.find(&mark.step)?;
    if mark.is_execute() { step.reply(None, reply) } else { Ok(()) }
}

fn status<W: Workflow>(instance: InstanceStatus) -> Result<WorkflowStatus<W>, SagaError> {
    let InstanceStatus { key, state, quarantine, quarantined_for, saga_version, data, began, changed, .. } = instance;
    let process = read(saga_version, data).map_err(|why| SagaError::State { key: key.clone(), why })?;
    let Process { data, direction, why: turned_back, trail, .. } = process;
    let state = match (quarantine, state, direction) {
        (Some((why, since)), ..) => WorkflowState::Waiting { why, since, command: quarantined_for },
        (None, InstanceState::Completed, Direction::Compensated) => WorkflowState::Compensated,
        (None, InstanceState::Completed, _) => WorkflowState::Done,
        (None, _, Direction::Back | Direction::Compensated) => WorkflowState::Compensating,
        (None, _, Direction::Forward | Direction::Done) => WorkflowState::Running,
    };
    let steps = trail.into_iter().map(|passage| (passage.step, passage.state)).collect();
    Ok(WorkflowStatus { key, state, steps, turned_back, data, began, changed })
}

fn read<W: Workflow>(version: u32, state: Value) -> Result<Process<W>, String> {
    match state {
        Value::Null => Ok(Process::default()),
        state if version == W::VERSION => Process::deserialize(state).map_err(|error| error.to_string()),
        state => Process::migrate(version, state)
            .ok_or_else(|| format!("it is of version {version}, and `migrate` has no answer")),
    }
}

impl<W> Clone for WorkflowHandle<W> {
    fn clone(&self) -> Self {
        Self { saga: self.saga.clone(), workflow: PhantomData }
    }
}

impl<W: Workflow> fmt::Debug for WorkflowHandle<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WorkflowHandle").field(&W::NAME).finish()
    }
}
