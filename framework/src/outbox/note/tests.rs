use annalist_core::{Epoch, EventId, Position, StoreId};
use uuid::Uuid;

use super::*;

const HEAD: u64 = 100;

fn at(position: u64) -> Cursor {
    Cursor { store: StoreId::new(Uuid::from_u128(1)), epoch: Epoch::FIRST, position: Position::new(position) }
}

fn published(position: u64) -> Published {
    Published { cursor: at(position), ordinal: 0, event_id: EventId::new(Uuid::from_u128(position.into())) }
}

fn note(scanned: u64, sequence: u64, last: Option<Published>) -> Note {
    Note { scanned: at(scanned), sequence, last }
}

fn decide(tail: (u64, Option<Published>), note: Option<Note>) -> Result<Start, Stopped> {
    let (sequence, last) = tail;
    start(&Tail { sequence, last }, note.as_ref(), &at(HEAD))
}

#[test]
fn nothing_published_and_nothing_noted_begins_at_the_beginning() {
    assert_eq!(decide((0, None), None), Ok(Start { after: Cursor::START, last: None, lost: 0 }));
}

#[test]
fn the_brokers_last_message_says_where_to_continue() {
    let expected = Start { after: at(39), last: Some(published(40)), lost: 0 };
    assert_eq!(decide((7, Some(published(40))), None), Ok(expected));
    let behind = note(30, 6, Some(published(30)));
    assert_eq!(
        decide((7, Some(published(40))), Some(behind)),
        Ok(expected),
        "a note of before the crash counts for nothing"
    );
}

#[test]
fn a_note_that_agrees_spares_scanning_again() {
    let agreeing = note(90, 7, Some(published(40)));
    assert_eq!(
        decide((7, Some(published(40))), Some(agreeing)),
        Ok(Start { after: at(90), last: Some(published(40)), lost: 0 })
    );
    assert_eq!(
        decide((0, None), Some(note(90, 0, None))),
        Ok(Start { after: at(90), last: None, lost: 0 }),
        "nothing published so far, much scanned"
    );
}

#[test]
fn a_note_of_other_messages_counts_for_nothing() {
    let same_number_other_message = note(90, 7, Some(published(41)));
    let expected = Start { after: at(39), last: Some(published(40)), lost: 0 };
    assert_eq!(decide((7, Some(published(40))), Some(same_number_other_message)), Ok(expected));
}

#[test]
fn a_broker_that_lost_its_end_is_brought_up_to_date_from_what_it_holds() {
    let noted = note(90, 7, Some(published(40)));
    assert_eq!(
        decide((5, Some(published(20))), Some(noted)),
        Ok(Start { after: at(19), last: Some(published(20)), lost: 2 })
    );
    assert_eq!(decide((0, None), Some(noted)), Ok(Start { after: Cursor::START, last: None, lost: 7 }));
}

#[test]
fn a_last_message_that_is_no_longer_kept_needs_a_note_that_agrees() {
    let noted = note(90, 7, Some(published(40)));
    assert_eq!(decide((7, None), Some(noted)), Ok(Start { after: at(90), last: Some(published(40)), lost: 0 }));
    assert_eq!(decide((8, None), Some(noted)), Err(Stopped::LostTrack { sequence: 8 }));
    assert_eq!(decide((7, None), None), Err(Stopped::LostTrack { sequence: 7 }));
}

#[test]
fn what_does_not_belong_to_this_log_is_refused() {
    let beyond = published(HEAD + 1);
    assert_eq!(decide((7, Some(beyond)), None), Err(Stopped::Foreign { last: beyond, head: at(HEAD) }));
    let mut other_epoch = published(40);
    other_epoch.cursor.epoch = Epoch::new(2);
    assert_eq!(decide((7, Some(other_epoch)), None), Err(Stopped::Foreign { last: other_epoch, head: at(HEAD) }));
}

#[test]
fn a_note_beyond_the_head_counts_for_nothing() {
    let beyond = note(HEAD + 1, 7, Some(published(40)));
    assert_eq!(
        decide((7, Some(published(40))), Some(beyond)),
        Ok(Start { after: at(39), last: Some(published(40)), lost: 0 })
    );
}

#[test]
fn a_note_survives_its_bytes() {
    for note in [note(90, 7, Some(published(40))), note(3, 0, None)] {
        assert_eq!(Note::decode(&note.encode().unwrap()), Some(note));
    }
    assert_eq!(Note::decode(b"{}"), None);
}
