//! Whether a history can have happened in a store that follows the rules.
//!
//! What was recorded stands in the log in one order, so that the calls that recorded something are in order already.
//! Every other call saw the log up to the end of some append. The history is explained if
//!
//! 1. each event of the log was put there by exactly one call, and each acknowledged call's events stand where it was told;
//! 2. the oracle, asked in the order of the log, answers each of these calls as it was answered, and writes the same
//!    events: expected versions, keys, guards and conditions held when it was recorded;
//! 3. each other call can be given a place in the log at which the oracle answers as it was answered; and
//! 4. the places agree with time: a call that was asked when another had been answered does not see less than that one
//!    saw, or wrote.
//!
//! For 3 and 4 the calls are taken in the order of their answers, and each is given the first place that both allow. No
//! other choice is better: a later place only forbids more to those that come after.

use std::collections::BTreeMap;

use annalist_core::Position;

use super::call::{Call, History};
use crate::model::{
    fact::Fact,
    oracle::Oracle,
    request::{Answer, Request},
};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod told;

/// Says what speaks against a history, if anything.
pub(super) fn prove(history: &History) -> Result<(), String> {
    let claims = claims(history)?;
    let states = replay(history, &claims)?;
    order(history, &claims, &states)
}

/// The part of the log that a call has written.
struct Claim<'a> {
    after: Position,
    last: Position,
    call: &'a Call,
}

/// Who wrote what, in the order of the log: all of it, and nothing twice.
fn claims(history: &History) -> Result<Vec<Claim<'_>>, String> {
    let mut claims: Vec<Claim<'_>> = history.calls.iter().filter_map(|call| claim(call, &history.log)).collect();
    claims.sort_by_key(|claim| claim.after);
    let nobody = |after: Position, before: Position| {
        let facts: Vec<&Fact> =
            history.log.iter().filter(|fact| fact.position > after && fact.position <= before).collect();
        format!("nobody appended what stands at {} to {before}: {facts:?}", after.next())
    };
    let mut end = Position::ZERO;
    for claim in &claims {
        if claim.after > end {
            return Err(nobody(end, claim.after));
        }
        if claim.after < end {
            return Err(format!("another call has written there already, up to {end}: {}", claim.call));
        }
        end = claim.last;
    }
    let length = Position::new(history.log.len() as u64);
    if end < length { Err(nobody(end, length)) } else { Ok(claims) }
}

/// What a call claims: what it was told, or where its first event stands if it did not wait for the answer.
fn claim<'a>(call: &'a Call, log: &[Fact]) -> Option<Claim<'a>> {
    let Request::Append(append) = &call.request else { return None };
    match &call.answered {
        Some((_, Answer::Appended(Ok(appended)))) => {
            let (after, last) = (appended.after, appended.cursor.position);
            (!appended.repeated && after != last).then_some(Claim { after, last, call })
        }
        Some(_) => None,
        None => {
            let first = append.entries.iter().flat_map(|entry| &entry.events).next()?;
            let is_first = |fact: &&Fact| fact.event.as_ref().is_some_and(|event| event.id == first.id);
            let after = log.iter().find(is_first)?.position.previous();
            Some(Claim { after, last: Position::new(after.get() + append.event_count() as u64), call })
        }
    }
}

/// Writes the log once more, and returns what the oracle knew behind each append, by position.
fn replay(history: &History, claims: &[Claim<'_>]) -> Result<BTreeMap<Position, Oracle>, String> {
    let mut oracle = Oracle::new(history.origin);
    let mut states = BTreeMap::from([(Position::ZERO, oracle.clone())]);
    for Claim { after, last, call } in claims {
        let expected = oracle.answer(&call.request);
        let as_expected = match (&call.answered, &expected) {
            (Some((_, answer)), _) => *answer == expected,
            (None, Answer::Appended(Ok(appended))) => !appended.repeated && appended.cursor.position == *last,
            (None, _) => false,
        };
        if !as_expected {
            return Err(format!("{call}\n  was recorded behind {after}, where the answer is {expected:?}"));
        }
        oracle.note(&call.request, &expected);
        let recorded = history.log.iter().skip(oracle.facts().len() - count(*after, *last));
        let recorded: Vec<&Fact> = recorded.take(count(*after, *last)).collect();
        let written: Vec<&Fact> = oracle.facts().iter().skip(count(Position::ZERO, *after)).collect();
        if recorded != written {
            return Err(format!("{call}\n  wrote {written:?}\n  but in the log is {recorded:?}"));
        }
        states.insert(*last, oracle.clone());
    }
    Ok(states)
}

fn count(after: Position, last: Position) -> usize {
    usize::try_from(last.get().saturating_sub(after.get())).unwrap_or(usize::MAX)
}

/// Gives every call a place in the log that agrees with its answer and with time.
fn order(history: &History, claims: &[Claim<'_>], states: &BTreeMap<Position, Oracle>) -> Result<(), String> {
    let mut calls: Vec<&Call> = history.calls.iter().collect();
    calls.sort_by_key(|call| call.over_by());
    // When each call was answered, and up to where the log was known from then on.
    let mut known: Vec<(u64, Position)> = Vec::new();
    for call in calls {
        let answered_before = known.iter().take_while(|(answered, _)| *answered < call.asked);
        let least = answered_before.map(|(_, position)| *position).max().unwrap_or_default();
        let written = claims.iter().find(|claim| std::ptr::eq(claim.call, call));
        let seen = match (written, &call.answered) {
            (Some(claim), _) if claim.after < least => {
                return Err(format!("{call}\n  stands behind {}, but {least} was known before", claim.after));
            }
            (Some(claim), _) => claim.last,
            (None, Some((_, answer))) => {
                // What was asked for later, it cannot have seen.
                let later = claims.iter().filter(|claim| claim.call.asked > call.over_by());
                let most = later.map(|claim| claim.after).min().unwrap_or(Position::MAX);
                place(&call.request, answer, states, (least, most))
                    .map_err(|objection| format!("{call}\n  {objection}, and {least} was known before"))?
            }
            (None, None) => continue,
        };
        known.push((call.over_by(), seen));
    }
    Ok(())
}

/// The first place in the log, within these bounds, at which this is the answer.
fn place(
    request: &Request,
    answer: &Answer,
    states: &BTreeMap<Position, Oracle>,
    (least, most): (Position, Position),
) -> Result<Position, String> {
    if let Some(told) = told(answer) {
        let Some(state) = states.get(&told) else { return Err(format!("no append ends at {told}")) };
        return match state.answer(request) {
            _ if told < least => Err(format!("{told} is out of date")),
            _ if told > most => Err(format!("{told} was not there yet, at most {most}")),
            expected if expected == *answer => Ok(told),
            expected => Err(format!("at {told} the answer is {expected:?}")),
        };
    }
    if least > most {
        return Err(format!("it can have seen {most} at most"));
    }
    let within = || states.range(least..=most);
    if let Some((position, _)) = within().find(|(_, state)| state.answer(request) == *answer) {
        return Ok(*position);
    }
    let at = |state: Option<(&Position, &Oracle)>| state.map(|(position, state)| (*position, state.answer(request)));
    let (first, last) = (at(within().next()), at(within().next_back()));
    Err(format!("it was never the answer; first it was {first:?}, last {last:?}"))
}

/// The place in the log that an answer names itself.
fn told(answer: &Answer) -> Option<Position> {
    match answer {
        Answer::Appended(Ok(appended)) if !appended.repeated => Some(appended.after),
        Answer::Read(Ok((_, head))) | Answer::Followed(Ok((_, head))) | Answer::Head(Ok(head)) => Some(head.position),
        Answer::Statistics(Ok(held)) => Some(held.head.position),
        _ => None,
    }
}
