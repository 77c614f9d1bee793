//! From records to aggregates: executes the commands that instances wait for, those of one instance in order.

use std::{collections::HashMap, sync::Arc};

use tokio::{
    task::{Id, JoinError, JoinSet},
    time::timeout,
};
use tracing::Instrument;

use super::{
    halt::{Halt, Trouble},
    limits::PAGE_MAX,
    model::{Saga, Sent},
    rows::WORK,
    step,
    streams::{Instance, Streams},
    taker::{Incoming, Taker, Verdict, stopped},
};
use crate::{
    command::{Attempt, CommandSet, Commands},
    metrics::SagaMetrics,
    projection::{ViewError, ViewHandle},
    trace,
};

/// See the module.
pub(super) struct Dispatch<S: Saga> {
    pub(super) taker: Arc<Taker<S>>,
    pub(super) set: Arc<CommandSet>,
    pub(super) commands: Arc<Commands>,
}

impl<S: Saga> Dispatch<S> {
    /// Works on instances until it is told to end, then lets those that are worked on finish their command.
    pub(super) async fn run(self: Arc<Self>) {
        let taker = Arc::clone(&self.taker);
        let (mut stop, mut workers, mut keys) = (taker.stop.clone(), JoinSet::new(), HashMap::<Id, String>::new());
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                Some(ended) = workers.join_next_with_id() => self.ended(ended, &mut keys),
                key = taker.woken.next(), if workers.len() < taker.options.dispatch_max.max(1) => {
                    let dispatch = Arc::clone(&self);
                    let instance = key.clone();
                    let worker = workers.spawn(async move { dispatch.work(&instance).await });
                    keys.insert(worker.id(), key);
                }
            }
        }
        let rest = async { while workers.join_next().await.is_some() {} };
        if timeout(taker.options.shutdown_grace, rest).await.is_err() {
            tracing::warn!(saga = S::NAME, "commands are still in flight; after the next start they are sent again");
        }
    }

    fn ended(&self, ended: Result<(Id, Result<(), Halt>), JoinError>, keys: &mut HashMap<Id, String>) {
        let (id, result) = match ended {
            Ok((id, result)) => (id, result.map_err(|halt| format!("{halt:?}"))),
            Err(error) => (error.id(), Err(error.to_string())),
        };
        let Some(key) = keys.remove(&id) else { return };
        if let Err(error) = result
            && !*self.taker.stop.borrow()
        {
            tracing::error!(saga = S::NAME, instance = key, error, "an instance cannot be worked on");
            self.taker.failed(error);
        }
        self.taker.woken.worked(&key);
    }

    /// Wakes all instances that wait for something since before the start.
    pub(super) async fn recover(self: Arc<Self>, rows: ViewHandle) {
        let mut stop = self.taker.stop.clone();
        let recovered = tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            recovered = self.wake_all(&rows) => recovered,
        };
        if let Err(error) = recovered {
            tracing::error!(saga = S::NAME, %error, "what was open before the start is not known");
            self.taker.failed(error.to_string());
        }
    }

    async fn wake_all(&self, rows: &ViewHandle) -> Result<(), ViewError> {
        let mut after = String::new();
        loop {
            let page = rows.scan(&WORK).range(after.clone()..).limit(PAGE_MAX).await?;
            let count = page.len();
            for (key, _) in page {
                self.taker.woken.room().await;
                self.taker.woken.wake(&key);
                // Behind this key, before every other.
                after = key + "\0";
            }
            if count < PAGE_MAX {
                return Ok(());
            }
        }
    }

    /// Does what is to be done about an instance, until there is nothing more.
    async fn work(&self, key: &str) -> Result<(), Halt> {
        let stream = Streams::<S>::of(key)?;
        let mut failures = 0;
        while !*self.taker.stop.borrow() {
            let instance = match self.taker.streams.load(&stream).await {
                Ok(Some(instance)) if instance.entry.has_work() => instance,
                Ok(_) => return Ok(()),
                Err(Trouble::Halt(halt)) => return Err(halt),
                Err(Trouble::Passing(why)) => {
                    failures += 1;
                    self.taker.pause(failures, &why).await?;
                    continue;
                }
            };
            if instance.entry.held.is_some() {
                self.taker.take_held(key).await?;
                continue;
            }
            let Some(command) = instance.entry.pending.first() else { return Ok(()) };
            let span = tracing::info_span!(
                parent: None,
                "annalist.saga",
                saga = S::NAME,
                instance = key,
                effect_id = %command.id,
                command = command.command,
            );
            match self.execute(key, &instance, command).instrument(span).await? {
                None => failures = 0,
                Some(why) => {
                    failures += 1;
                    self.taker.pause(failures, &why).await?;
                }
            }
        }
        Ok(())
    }

    /// Executes a command and takes in what came of it; or says why to try again later.
    async fn execute(&self, key: &str, instance: &Instance, command: &Sent) -> Result<Option<String>, Halt> {
        trace::link([&instance.record]);
        let SagaMetrics { sent_accepted, sent_rejected, sent_retried, sent_broken, .. } = &self.taker.measured;
        match self.send(instance, command).await {
            Attempt::Accepted(reply) => {
                sent_accepted.add(1);
                self.settle(key, command, Verdict::Accepted(reply)).await?;
            }
            Attempt::Rejected { message, detail } => {
                sent_rejected.add(1);
                let rejection = step::rejection(message, detail);
                self.settle(key, command, Verdict::Rejected(rejection)).await?;
            }
            Attempt::Retry(why) => {
                sent_retried.add(1);
                return Ok(Some(why));
            }
            Attempt::Broken(why) => {
                sent_broken.add(1);
                self.taker.quarantine(key, command.id, &why).await?;
            }
            Attempt::Closed => return Err(Halt::Stopped),
        }
        Ok(None)
    }

    async fn send(&self, instance: &Instance, command: &Sent) -> Attempt {
        let mut metadata = instance.entry.circumstances.clone();
        metadata.causation_id = Some(command.caused_by.to_string());
        let names = (command.category.as_str(), command.target.as_str(), command.command.as_str());
        let (commands, key) = (Arc::clone(&self.commands), command.id.to_string());
        self.set.execute(commands, names, &command.content, key, metadata).await
    }

    async fn settle(&self, key: &str, command: &Sent, verdict: Verdict) -> Result<(), Halt> {
        let settled = Incoming::Settled { effect: command.id, verdict, audit: None };
        self.taker.take(key, &settled).await.map(drop)
    }
}
