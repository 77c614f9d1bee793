//! The checker accepts a true history and objects to each way in which it can be spoiled.

use annalist_core::{AppendError, Appended, Cursor, Epoch, Expected, NewEvent, Position, Query, Version};

use super::told::{
    CONFLICT, DECIDED, FORBIDDEN, GUARD, LAST, ONE, OUTCOME, READ, REPEATED, REUSED, TWO, accepts, conflict, event,
    exactly, failed, objects, seen, stream, tagged,
};
use crate::{
    history::call::History,
    model::{fact::Fact, names::key, request::Answer},
};

#[test]
fn a_true_history_is_accepted() {
    accepts(|_| {});
    accepts(|history| history.calls.reverse());
    // It is as true if all of it happened at once.
    accepts(|history| (ONE..=LAST).for_each(|call| history.take_place(call, 0, 1000)));
}

#[test]
fn what_is_acknowledged_is_in_the_log() {
    objects("wrote", |history| _ = history.log.pop());
    objects("wrote", |history| history.log.clear());
    objects("wrote", |history| _ = history.log.remove(1));
}

#[test]
fn what_is_in_the_log_was_appended_once() {
    let again = |history: &mut History, event: Option<NewEvent>| {
        let last = history.log.last().unwrap();
        let (position, version) = (last.position.next(), last.version.next());
        history.log.push(Fact { position, version, event, ..last.clone() });
    };
    objects("nobody appended", |history| again(history, Some(event(9))));
    objects("nobody appended", |history| again(history, Some(event(10))));
    objects("nobody appended", |history| again(history, None));
    objects("nobody appended", |history| history.refuse(ONE, conflict(1)));
    objects("nobody appended", |history| history.refuse(LAST, failed(1, 1)));
}

#[test]
fn what_is_in_the_log_is_what_was_appended() {
    objects("wrote", |history| history.log[1].event = Some(event(10)));
    objects("wrote", |history| history.log[1].stream = stream("b-2"));
    objects("wrote", |history| history.log[2].version = Version::new(3));
    objects("wrote", |history| history.log[2].position = Position::new(4));
    // The events of two appends have changed places.
    objects("wrote", |history| history.log.swap(0, 1));
    objects("wrote", |history| history.log.swap(1, 2));
}

#[test]
fn events_stand_where_it_was_told() {
    let one_further = |history: &mut History, call| {
        let appended = history.appended(call);
        (appended.after, appended.cursor) =
            (appended.after.next(), appended.cursor.at(appended.cursor.position.next()));
    };
    objects("nobody appended", |history| one_further(history, ONE));
    objects("nobody appended", |history| one_further(history, LAST));
    objects("written there already", |history| history.appended(TWO).after = Position::ZERO);
    objects("was recorded behind", |history| history.appended(TWO).streams[0].1 = Version::new(1));
    objects("was recorded behind", |history| history.appended(TWO).streams.clear());
    objects("was recorded behind", |history| {
        let cursor = Cursor { epoch: Epoch::new(2), ..history.appended(LAST).cursor };
        history.appended(LAST).cursor = cursor;
    });
}

#[test]
fn what_was_answered_first_stands_first() {
    objects("but 3 was known before", |history| history.take_place(TWO, 1, 2));
    // Between them the order is free.
    accepts(|history| history.take_place(TWO, 1, 12));
}

#[test]
fn what_an_append_expected_held_when_it_was_recorded() {
    objects("was recorded behind", |history| history.append(TWO).entries[0].expected = exactly(1));
    objects("was recorded behind", |history| history.append(LAST).entries[0].expected = Expected::NoStream);
    objects("was recorded behind", |history| {
        let guarded = history.append(LAST).clone().guard(stream("b-1"), exactly(1));
        *history.append(LAST) = guarded;
    });
    objects("at 4 the answer is", |history| history.append(GUARD).entries[0].expected = exactly(1));
}

#[test]
fn the_conditions_held_when_it_was_recorded() {
    objects("was recorded behind", |history| history.append(DECIDED).conditions[0].after = seen(0));
    objects("was recorded behind", |history| history.append(DECIDED).conditions[0].after = Cursor::START);
    objects("was recorded behind", |history| history.append(DECIDED).conditions[0].after = seen(4));
    objects("was recorded behind", |history| {
        let more = history.append(DECIDED).clone().unless(Query::stream(stream("b-1")), seen(2));
        *history.append(DECIDED) = more;
    });
}

#[test]
fn a_read_finds_what_was_there() {
    objects("at 3 the answer is", |history| history.found(READ).0.clear());
    objects("at 3 the answer is", |history| {
        let more = history.log[1].clone();
        history.found(READ).0.push(more);
    });
    // It was not over when the second append was recorded, so that both heads are possible, but not both lists.
    let overlaps = |history: &mut History, head| {
        history.take_place(READ, 1, 1000);
        history.found(READ).1 = seen(head);
    };
    accepts(|history| overlaps(history, 1));
    objects("at 4 the answer is", |history| overlaps(history, 4));
    objects("at 0 the answer is", |history| overlaps(history, 0));
}

#[test]
fn a_read_sees_whole_appends() {
    objects("no append ends at 2", |history| {
        history.take_place(READ, 1, 1000);
        history.found(READ).1 = seen(2);
    });
    objects("no append ends at 9", |history| history.found(READ).1 = seen(9));
}

#[test]
fn a_read_is_neither_stale_nor_ahead() {
    objects("1 is out of date", |history| history.found(READ).1 = seen(1));
    // All that it found was asked for later.
    objects("3 was not there yet, at most 0", |history| history.take_place(READ, 1, 2));
}

#[test]
fn a_refusal_held_while_it_was_under_way() {
    objects("never the answer", |history| history.refuse(CONFLICT, conflict(3)));
    objects("never the answer", |history| history.refuse(CONFLICT, conflict(0)));
    // That was so before it was asked: too early, unless it was under way by then.
    let early = |history: &mut History, asked| {
        history.refuse(CONFLICT, conflict(1));
        history.calls[CONFLICT].asked = asked;
    };
    objects("never the answer", |history| early(history, history.calls[CONFLICT].asked));
    accepts(|history| early(history, history.calls[DECIDED].asked));
    // And this was so only after it was answered.
    objects("never the answer", |history| history.take_place(CONFLICT, 21, 22));
}

#[test]
fn a_condition_that_failed_names_the_first_match_behind_its_cursor() {
    for (number, first) in [(1, 1), (1, 3), (1, 5), (2, 4)] {
        objects("never the answer", |history| history.refuse(FORBIDDEN, failed(number, first)));
    }
    objects("never the answer", |history| history.take_place(FORBIDDEN, 31, 32));
}

#[test]
fn what_is_accepted_could_not_be_refused() {
    let held = |history: &mut History| history.appended(GUARD).clone();
    objects("at 4 the answer is", |history| *history.answer(FORBIDDEN) = Answer::Appended(Ok(held(history))));
    objects("never the answer", |history| history.refuse(GUARD, conflict(2)));
    objects("never the answer", |history| history.refuse(REUSED, conflict(2)));
    objects("never the answer", |history| history.refuse(GUARD, AppendError::Unknown { why: String::new() }));
}

#[test]
fn a_key_is_recorded_once_and_keeps_its_outcome() {
    objects("never the answer", |history| history.appended(REPEATED).after = Position::new(2));
    objects("never the answer", |history| history.refuse(REPEATED, AppendError::KeyReused { key: key(0) }));
    objects("never the answer", |history| history.refuse(REUSED, AppendError::KeyReused { key: key(1) }));
    objects("never the answer", |history| *history.answer(OUTCOME) = Answer::Outcome(Ok(None)));
    objects("was recorded behind 5, where the answer is", |history| {
        let (after, cursor) = (Position::new(5), seen(6));
        *history.appended(REPEATED) =
            Appended { after, cursor, streams: vec![(stream("a-1"), Version::new(4))], repeated: false };
        let (stream, version, event) = (stream("a-1"), Version::new(4), Some(tagged(5)));
        history.log.push(Fact { position: cursor.position, stream, version, event });
    });
}

#[test]
fn what_was_abandoned_is_recorded_by_the_rules_or_not_at_all() {
    accepts(|history| history.calls[TWO].answered = None);
    accepts(|history| history.calls[FORBIDDEN].answered = None);
    accepts(|history| {
        history.calls[LAST].answered = None;
        history.log.pop();
    });
    objects("wrote", |history| {
        history.calls[TWO].answered = None;
        history.log.remove(2);
    });
    objects("was recorded behind", |history| {
        history.calls[DECIDED].answered = None;
        history.append(DECIDED).conditions[0].after = seen(0);
    });
    // Others had seen it by then.
    objects("3 was not there yet, at most 1", |history| {
        history.calls[TWO].answered = None;
        history.calls[TWO].asked = 1000;
    });
}
