//! One attempt to take an input in: which input it is now, and what it comes to.

use annalist_core::{Metadata, StreamId, Version};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    halt::Trouble,
    model::{Input, Saga, Sent},
    record::{Audit, Entry, InputRecord, Kind},
    step,
    streams::{Instance, Step, StepError},
    taker::{Done, Incoming, Taken, Taker, Verdict},
};
use crate::{event::Recorded, trace};

/// An input that an instance is to take in now.
struct Heard<S: Saga> {
    record: InputRecord,
    /// The inner error says why it cannot be read.
    input: Result<Input<S>, String>,
    audit: Option<Audit>,
    /// A person has settled the command that the instance is in quarantine for: it goes on.
    releases: bool,
}

/// What becomes of an input, the instance being as it is.
enum Plan<S: Saga> {
    Pass(Taken),
    /// What is held comes first.
    Drain,
    Take(Box<Heard<S>>),
}

impl<S: Saga> Taker<S> {
    pub(super) async fn attempt(&self, key: &str, stream: &StreamId, incoming: &Incoming<S>) -> Result<Done, Trouble> {
        let Some(instance) = self.streams.load(stream).await? else {
            let Incoming::Event { starts: true, recorded } = incoming else { return Ok(Done::Taken(Taken::Passed)) };
            let before = step::begin::<S>(self.env.now(), circumstances(recorded));
            return self.step(key, stream, Version::ZERO, &before, Heard::event(recorded)).await;
        };
        // What came later than what set the timer does not matter much: it is the same instance.
        if let Incoming::Timer { .. } = incoming {
            trace::link([&instance.record]);
        }
        match self.plan(stream, &instance, incoming).await? {
            Plan::Pass(taken) => {
                self.found(key, &instance);
                Ok(Done::Taken(taken))
            }
            Plan::Drain => self.drain(key, stream, instance).await.map(|_| Done::Again),
            Plan::Take(heard) => self.step(key, stream, instance.version, &instance.entry, *heard).await,
        }
    }

    async fn plan(
        &self,
        stream: &StreamId,
        Instance { entry, cursor, .. }: &Instance,
        incoming: &Incoming<S>,
    ) -> Result<Plan<S>, Trouble> {
        Ok(match incoming {
            Incoming::Event { starts, recorded } => {
                let heard = Heard::event(recorded);
                if self.streams.is_recorded(stream, &heard.record.identity()).await? {
                    Plan::Pass(Taken::Repeated)
                } else if entry.completed {
                    if *starts {
                        let position = recorded.record.position;
                        tracing::warn!(%stream, %position, "a completed instance does not begin again; the event is passed over");
                    }
                    Plan::Pass(Taken::Passed)
                } else if entry.quarantine.is_none() && entry.held.is_some() {
                    Plan::Drain
                } else {
                    Plan::Take(Box::new(heard))
                }
            }
            // A timer of an instance that is held up stays set: it is due when the instance goes on.
            Incoming::Timer { id } => match entry.running_timers().iter().find(|timer| timer.id == *id) {
                Some(timer) => {
                    let record = InputRecord::Timer { id: *id, timer: timer.timer.clone() };
                    Plan::Take(Box::new(Heard { input: read(&record), record, audit: None, releases: false }))
                }
                None => Plan::Pass(Taken::Repeated),
            },
            Incoming::Settled { effect, verdict, audit } => {
                let Some(command) = entry.pending.iter().find(|pending| pending.id == *effect) else {
                    // By an attempt of the same person that had no answer, or by someone else.
                    let theirs = audit.is_some() && *audit == entry.audit;
                    return Ok(Plan::Pass(if theirs { Taken::Recorded(*cursor) } else { Taken::Repeated }));
                };
                let command = Sent { by_hand: audit.is_some(), ..command.clone() };
                let because = entry.quarantine.as_ref().and_then(|quarantine| quarantine.effect);
                let releases = audit.is_some() && because == Some(*effect);
                let record = match verdict.clone() {
                    Verdict::Accepted(reply) => InputRecord::Accepted { command, reply },
                    Verdict::Rejected(rejection) => InputRecord::Rejected { command, rejection },
                };
                Plan::Take(Box::new(Heard { input: read(&record), record, audit: audit.clone(), releases }))
            }
        })
    }

    /// Takes an input in that comes for the first time, or holds it, or puts the instance into quarantine with it.
    async fn step(
        &self,
        key: &str,
        stream: &StreamId,
        version: Version,
        before: &Entry,
        heard: Heard<S>,
    ) -> Result<Done, Trouble> {
        let Heard { record, input, audit, releases } = heard;
        let released;
        let before = if releases {
            released = Entry { quarantine: None, ..before.clone() };
            &released
        } else {
            before
        };
        let (id, cause) = (record.id(stream.as_str()), Some(record.cause()));
        let keyed = Some((record.identity(), id));
        // The record that takes a held input in has the identity of the input.
        let held_id = Uuid::new_v5(&id, b"held");
        let held = Entry { audit: audit.clone(), ..step::hold(before, record.clone(), version.next()) };
        if before.quarantine.is_some() || before.held.is_some() {
            let step = Step { kind: Kind::Held, entry: held, id: held_id, cause, key: keyed };
            return self.record(key, stream, version, step).await;
        }
        let now = self.env.now();
        let taken = input.and_then(|input| step::take(before, stream.as_str(), record, &input, now));
        let why = match taken {
            Ok(entry) => {
                let step = Step { kind: Kind::Taken, entry: Entry { audit, ..entry }, id, cause, key: keyed.clone() };
                match self.append(key, stream, version, step).await {
                    Ok(done) => return Ok(done),
                    Err(StepError::Unrecordable(why)) => why,
                    Err(StepError::Trouble(trouble)) => return Err(trouble),
                }
            }
            Err(why) => why,
        };
        let entry = Entry { quarantine: Some(self.quarantine_for(&why, None)), ..held };
        let step = Step { kind: Kind::Quarantined, entry, id: held_id, cause, key: keyed };
        self.record(key, stream, version, step).await
    }

    /// Takes in the first input that an instance holds, or puts the instance into quarantine again.
    pub(super) async fn drain(&self, key: &str, stream: &StreamId, instance: Instance) -> Result<Done, Trouble> {
        let Instance { version, entry: before, .. } = instance;
        let Some(held) = before.held else { return Ok(Done::Taken(Taken::Repeated)) };
        let (at, Entry { input, audit, .. }) = self.streams.first_held(stream, held).await?;
        let Some(record) = input else { return Ok(Done::Taken(Taken::Repeated)) };
        let input: Result<Input<S>, String> = match &record {
            InputRecord::Event { position, id } => self.streams.event(*position, *id).await?.map(Input::Event),
            other => read(other),
        };
        let (id, cause, now) = (record.id(stream.as_str()), Some(record.cause()), self.env.now());
        let taken = input.and_then(|input| step::take(&before, stream.as_str(), record, &input, now));
        let why = match taken {
            Ok(entry) => {
                let entry = Entry { audit, held: step::held_behind(held, at), ..entry };
                let step = Step { kind: Kind::Taken, entry, id, cause, key: None };
                match self.append(key, stream, version, step).await {
                    Ok(done) => return Ok(done),
                    Err(StepError::Unrecordable(why)) => why,
                    Err(StepError::Trouble(trouble)) => return Err(trouble),
                }
            }
            Err(why) => why,
        };
        // The input stays where it is held.
        let entry = step::quarantine(&before, self.quarantine_for(&why, None));
        let step = Step { kind: Kind::Quarantined, entry, id: self.env.new_id(), cause, key: None };
        self.record(key, stream, version, step).await
    }
}

impl<S: Saga> Heard<S> {
    fn event(recorded: &Recorded<S::Event>) -> Self {
        let record = InputRecord::Event { position: recorded.record.position, id: recorded.record.id };
        Self { record, input: Ok(Input::Event(recorded.clone())), audit: None, releases: false }
    }
}

/// An input from its record. An event is in the log, not in the record.
fn read<S: Saga>(record: &InputRecord) -> Result<Input<S>, String> {
    match record {
        InputRecord::Event { position, .. } => Err(format!("the event at position {position} was not read")),
        InputRecord::Timer { timer, .. } => S::Timer::deserialize(timer)
            .map(Input::Timer)
            .map_err(|error| format!("the timer {timer} cannot be read: {error}")),
        InputRecord::Accepted { command, reply } => {
            Ok(Input::Accepted { command: command.clone(), reply: reply.clone() })
        }
        InputRecord::Rejected { command, rejection } => {
            Ok(Input::Rejected { command: command.clone(), rejection: rejection.clone() })
        }
    }
}

/// What all that an instance causes has from the event that began it.
fn circumstances<E>(recorded: &Recorded<E>) -> Metadata {
    let Metadata { correlation_id, tenant, .. } = recorded.record.metadata();
    // An event outside of any conversation begins one.
    let correlation_id = correlation_id.or_else(|| Some(recorded.record.id.to_string()));
    Metadata { correlation_id, tenant, ..Metadata::default() }
}
