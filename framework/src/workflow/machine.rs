//! One step of a workflow: what an input does to it. Pure.
//!
//! ```text
//!                    ┌────────── pause ◄─── rejected, tried again
//!                    ▼                          │
//! executing: sent ──► awaiting ──► done ──► the next step … ──► the end: done
//!              │          │
//!   too late   │          │ too late: unknown             rejected for good
//!              ▼          ▼                                      │
//!           overdue ──► turned back: the last step that was done ◄┘ is undone, then the one before … ──► the end: compensated
//! ```
//!
//! One passage of the trail is active at a time. Every outcome says which attempt it is of, so that one that comes late
//! changes nothing; what it replied is taken in all the same.

use std::time::Duration;

use super::{
    model::{Answer, Workflow},
    process::{Alarm, AlarmKind, Direction, Mark, Passage, Phase, Process, StepState, Todo, Way},
    retry::Retry,
    steps::{Action, Definition, Steps},
    trail::{At, Taken},
};
use crate::{event::Recorded, saga::Input};

impl<W: Workflow> Process<W> {
    pub(super) fn take(&mut self, steps: &Steps<W>, input: &Input<Self>) -> Taken {
        match input {
            Input::Event(recorded) if self.data.is_none() => {
                let Some((_, data)) = W::start(recorded) else { return Ok(()) };
                self.data = Some(data);
                self.forward(steps, 0)
            }
            Input::Event(recorded) => self.event(steps, recorded),
            Input::Timer(alarm) => self.alarm(steps, alarm),
            Input::Accepted { command, reply } => {
                let Some((mark, at)) = self.of_mark(steps, command)? else { return Ok(()) };
                if mark.is_execute() {
                    let read = at.step.reply(self.data.as_mut(), reply);
                    // A person who has seen to it by other means need not know what it would have replied.
                    if !command.is_settled_by_hand() {
                        read?;
                    }
                }
                self.accepted(steps, &mark, &at, command.is_settled_by_hand())
            }
            Input::Rejected { command, rejection } => {
                let Some((mark, at)) = self.of_mark(steps, command)? else { return Ok(()) };
                self.rejected(steps, &mark, &at, command.is_settled_by_hand(), rejection.message())
            }
        }
    }

    /// Goes to the first step, from a place on, that has something to do.
    fn forward(&mut self, steps: &Steps<W>, from: usize) -> Taken {
        for (place, step) in steps.all.iter().enumerate().skip(from) {
            let made = step.execute.make(self.known()?)?;
            let state = if made.is_some() { StepState::Executing(Phase::Sent) } else { StepState::LeftOut };
            self.trail.push(Passage { step: step.name.to_owned(), state, attempt: 1 });
            let Some(outgoing) = made else { continue };
            let mark = Mark { step: step.name.to_owned(), way: Way::Execute, attempt: 1 };
            self.todo.push(Todo::Send { mark, outgoing });
            if steps.can_turn_back(place) {
                self.set_timeout(step.name, step.timeout);
            }
            return Ok(());
        }
        self.direction = Direction::Done;
        self.todo.push(Todo::Complete);
        Ok(())
    }

    /// Goes back to the last step that may have happened and is not undone.
    fn back(&mut self, steps: &Steps<W>) -> Taken {
        let happened = |passage: &Passage| matches!(passage.state, StepState::Done | StepState::Unknown);
        while let Some(passage) = self.trail.iter().rposition(happened) {
            let name = self.passage(passage)?.step.clone();
            let (_, step) = steps.find(&name)?;
            let data = self.known()?;
            let made = step.compensate.as_ref().map(|compensate| compensate.make(data)).transpose()?.flatten();
            let reached = self.passage_mut(passage)?;
            let Some(outgoing) = made else {
                reached.state = StepState::Compensated;
                continue;
            };
            (reached.state, reached.attempt) = (StepState::Compensating(Phase::Sent), 1);
            self.todo.push(Todo::Send { mark: Mark { step: name, way: Way::Compensate, attempt: 1 }, outgoing });
            return Ok(());
        }
        self.direction = Direction::Compensated;
        self.todo.push(Todo::Complete);
        Ok(())
    }

    fn accepted(&mut self, steps: &Steps<W>, mark: &Mark, at: &At<'_, W>, by_hand: bool) -> Taken {
        let waits = |action: Option<&Action<W>>| !by_hand && action.is_some_and(|action| action.answer.is_some());
        let waits_on = match mark.way {
            Way::Execute => waits(Some(&at.step.execute)),
            Way::Compensate => waits(at.step.compensate.as_ref()),
        };
        match (mark.way, at.state) {
            (Way::Execute, StepState::Executing(Phase::Sent)) if waits_on => {
                if !steps.can_turn_back(at.place) {
                    self.set_timeout(&mark.step, at.step.timeout);
                }
                self.become_(at, StepState::Executing(Phase::Awaiting))
            }
            (Way::Execute, StepState::Executing(Phase::Sent)) => self.finish(steps, at, StepState::Done),
            (Way::Execute, StepState::Executing(Phase::Overdue)) => {
                self.become_(at, if waits_on { StepState::Unknown } else { StepState::Done })?;
                self.back(steps)
            }
            (Way::Compensate, StepState::Compensating(Phase::Sent)) if waits_on => {
                self.set_timeout(&mark.step, at.step.timeout);
                self.become_(at, StepState::Compensating(Phase::Awaiting))
            }
            (Way::Compensate, StepState::Compensating(Phase::Sent)) => self.undone(steps, at, StepState::Compensated),
            // An event was there before it, or it took too long.
            _ => Ok(()),
        }
    }

    fn rejected(&mut self, steps: &Steps<W>, mark: &Mark, at: &At<'_, W>, by_hand: bool, why: &str) -> Taken {
        // What a person gives up may have happened.
        let given_up = || if at.step.compensate.is_some() { StepState::Unknown } else { StepState::Rejected };
        match (mark.way, at.state) {
            (Way::Execute, StepState::Executing(Phase::Sent)) if by_hand && steps.is_behind_pivot(at.place) => {
                self.finish(steps, at, StepState::GivenUp)
            }
            (Way::Execute, StepState::Executing(Phase::Sent)) if by_hand => self.turn_back(steps, at, given_up(), why),
            (Way::Execute, StepState::Executing(Phase::Sent)) => self.failed(steps, at, why),
            (Way::Execute, StepState::Executing(Phase::Overdue)) => {
                self.become_(at, if by_hand { given_up() } else { StepState::Rejected })?;
                self.back(steps)
            }
            (Way::Compensate, StepState::Compensating(Phase::Sent)) if by_hand => {
                self.undone(steps, at, StepState::GivenUp)
            }
            (Way::Compensate, StepState::Compensating(Phase::Sent)) => self.not_undone(steps, at, why),
            _ => Ok(()),
        }
    }

    fn event(&mut self, steps: &Steps<W>, recorded: &Recorded<W::Event>) -> Taken {
        let Some(at) = self.active(steps)? else { return Ok(()) };
        let action = match at.state {
            StepState::Executing(Phase::Sent | Phase::Awaiting | Phase::Pausing) => Some(&at.step.execute),
            StepState::Compensating(_) => at.step.compensate.as_ref(),
            _ => None,
        };
        let Some(read) = action.and_then(|action| action.answer.as_ref()) else { return Ok(()) };
        let Some(answer) = read(self.known_mut()?, recorded) else { return Ok(()) };
        match (at.state, answer) {
            (StepState::Executing(_), Answer::Done) => self.finish(steps, &at, StepState::Done),
            (StepState::Executing(_), Answer::Failed(why)) => self.failed(steps, &at, &why),
            (_, Answer::Done) => self.undone(steps, &at, StepState::Compensated),
            (_, Answer::Failed(why)) => self.not_undone(steps, &at, &why),
        }
    }

    fn alarm(&mut self, steps: &Steps<W>, alarm: &Alarm) -> Taken {
        let Some(at) =
            self.active(steps)?.filter(|at| self.trail.get(at.passage).is_some_and(|own| own.step == alarm.step))
        else {
            return Ok(());
        };
        let took = at.step.timeout.unwrap_or_default();
        let late = format!("it was not done within {took:?}");
        match (alarm.kind, at.state) {
            (AlarmKind::Again, StepState::Executing(Phase::Pausing) | StepState::Compensating(Phase::Pausing)) => {
                self.send_again(steps, &at, None)
            }
            (AlarmKind::TimedOut, StepState::Compensating(Phase::Awaiting)) => self.not_undone(steps, &at, &late),
            (AlarmKind::TimedOut, StepState::Executing(phase)) if steps.can_turn_back(at.place) => match phase {
                // Its outcome comes in any case, and then there is nothing unknown about it.
                Phase::Sent => {
                    self.become_(&at, StepState::Executing(Phase::Overdue))?;
                    self.direction = Direction::Back;
                    self.note_why(at.step, &late)
                }
                Phase::Awaiting => self.turn_back(steps, &at, StepState::Unknown, &late),
                Phase::Pausing => self.turn_back(steps, &at, StepState::Rejected, &late),
                Phase::Overdue => Ok(()),
            },
            (AlarmKind::TimedOut, StepState::Executing(Phase::Awaiting)) if at.step.pivot => {
                // Neither way is right while it is not known whether it has happened.
                let ask = format!("the pivot `{}`: {late}, and whether it has happened is not known", at.step.name);
                self.send_again(steps, &at, Some(ask))
            }
            (AlarmKind::TimedOut, StepState::Executing(Phase::Awaiting)) => self.failed(steps, &at, &late),
            _ => Ok(()),
        }
    }

    /// The step has failed, and nothing of it has happened, or it must be done anyway.
    fn failed(&mut self, steps: &Steps<W>, at: &At<'_, W>, why: &str) -> Taken {
        let behind = steps.is_behind_pivot(at.place);
        let retry = at.step.execute.retry.unwrap_or(if behind { Retry::PATIENT } else { Retry::never() });
        let attempt = self.passage(at.passage)?.attempt;
        match retry.pause(attempt) {
            Some(pause) => self.pause(at, StepState::Executing(Phase::Pausing), pause),
            None if behind => {
                let ask =
                    format!("the step `{}` has failed {attempt} times, and there is no way back: {why}", at.step.name);
                self.send_again(steps, at, Some(ask))
            }
            None => self.turn_back(steps, at, StepState::Rejected, why),
        }
    }

    /// The compensation has failed.
    fn not_undone(&mut self, steps: &Steps<W>, at: &At<'_, W>, why: &str) -> Taken {
        let retry = at.step.compensate.as_ref().and_then(|compensate| compensate.retry).unwrap_or(Retry::PATIENT);
        let attempt = self.passage(at.passage)?.attempt;
        if let Some(pause) = retry.pause(attempt) {
            return self.pause(at, StepState::Compensating(Phase::Pausing), pause);
        }
        let ask = format!("the compensation of `{}` has failed {attempt} times: {why}", at.step.name);
        self.send_again(steps, at, Some(ask))
    }

    /// Sends the command that the step is at once more, as another attempt: at once, or when a person has said so.
    fn send_again(&mut self, steps: &Steps<W>, at: &At<'_, W>, ask: Option<String>) -> Taken {
        let (way, sent, nothing_to_do) = match at.state {
            StepState::Compensating(_) => {
                (Way::Compensate, StepState::Compensating(Phase::Sent), StepState::Compensated)
            }
            _ => (Way::Execute, StepState::Executing(Phase::Sent), StepState::LeftOut),
        };
        let action = match way {
            Way::Execute => Some(&at.step.execute),
            Way::Compensate => at.step.compensate.as_ref(),
        };
        let data = self.known()?;
        let Some(outgoing) = action.map(|action| action.make(data)).transpose()?.flatten() else {
            return match way {
                Way::Execute => self.finish(steps, at, nothing_to_do),
                Way::Compensate => self.undone(steps, at, nothing_to_do),
            };
        };
        let passage = self.passage_mut(at.passage)?;
        (passage.state, passage.attempt) = (sent, passage.attempt.saturating_add(1));
        let mark = Mark { step: passage.step.clone(), way, attempt: passage.attempt };
        self.todo.push(Todo::Send { mark, outgoing });
        self.todo.extend(ask.map(Todo::Ask));
        Ok(())
    }

    fn pause(&mut self, at: &At<'_, W>, state: StepState, pause: Duration) -> Taken {
        self.become_(at, state)?;
        let step = self.passage(at.passage)?.step.clone();
        self.todo.push(Todo::Set(Alarm { step, kind: AlarmKind::Again }, pause));
        Ok(())
    }

    fn finish(&mut self, steps: &Steps<W>, at: &At<'_, W>, state: StepState) -> Taken {
        self.settle(at, state)?;
        self.forward(steps, at.place + 1)
    }

    fn undone(&mut self, steps: &Steps<W>, at: &At<'_, W>, state: StepState) -> Taken {
        self.settle(at, state)?;
        self.back(steps)
    }

    fn turn_back(&mut self, steps: &Steps<W>, at: &At<'_, W>, state: StepState, why: &str) -> Taken {
        self.settle(at, state)?;
        self.direction = Direction::Back;
        self.note_why(at.step, why)?;
        self.back(steps)
    }

    fn note_why(&mut self, step: &Definition<W>, why: &str) -> Taken {
        self.why = Some(format!("`{}`: {why}", step.name));
        self.known_mut()?.turned_back(step.name, why);
        Ok(())
    }
}
