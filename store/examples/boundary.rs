//! A decision that no single stream can make: a course has few places, and a student takes few courses. What is decided on
//! is a query, and the append holds only if nothing that matches it was recorded in the meantime.

use annalist_core::{
    Append, AppendError, EventId, EventStore, EventType, Expected, NewEvent, Position, Query, QueryItem, Read,
    StreamId, Tag,
};
use annalist_store::Store;

type Failure = Box<dyn std::error::Error>;

const PLACES: usize = 2;
const COURSES_OF_A_STUDENT: usize = 2;

/// Enrols a student, or says why not.
async fn enrol(store: &dyn EventStore, student: &str, course: &str) -> Result<Result<Position, &'static str>, Failure> {
    let (student_tag, course_tag) = (Tag::new(format!("student:{student}"))?, Tag::new(format!("course:{course}"))?);
    let seen_by = |tag: &Tag| QueryItem::new().types(["student-enrolled"]).tags([tag.clone()]);
    let query = Query::of(seen_by(&course_tag)).or(seen_by(&student_tag));
    loop {
        let mut batches = store.read(Read::query(query.clone(), Position::ZERO)).await?;
        let (mut taken, mut courses) = (0, 0);
        let head = batches.head();
        loop {
            let events = batches.next().await?;
            if events.is_empty() {
                break;
            }
            let with = |tag: &Tag| events.iter().filter(|event| event.tags().any(|own| own == tag.as_str())).count();
            (taken, courses) = (taken + with(&course_tag), courses + with(&student_tag));
        }
        if taken >= PLACES {
            return Ok(Err("the course is full"));
        }
        if courses >= COURSES_OF_A_STUDENT {
            return Ok(Err("the student takes enough courses"));
        }
        let enrolled = NewEvent::new(EventId::generate(), EventType::new("student-enrolled")?, "{}")
            .with_tags([student_tag.clone(), course_tag.clone()]);
        let append = Append::new()
            .events(StreamId::of("enrolment", format_args!("{student}-{course}"))?, Expected::NoStream, [enrolled])
            .unless(query.clone(), head);
        match store.append(append).await {
            Ok(appended) => return Ok(Ok(appended.cursor.position)),
            // Somebody was quicker: decide again.
            Err(AppendError::ConditionFailed { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let dir = std::env::temp_dir().join(format!("annalist-boundary-{}", std::process::id()));
    let store = Store::open(&dir)?;
    // At the same time, for two places.
    let (ada, bob, cy) =
        tokio::join!(enrol(&store, "ada", "logic"), enrol(&store, "bob", "logic"), enrol(&store, "cy", "logic"));
    let outcomes = [ada?, bob?, cy?];
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), PLACES);
    assert!(outcomes.contains(&Err("the course is full")));
    store.close().await?;
    Ok(std::fs::remove_dir_all(dir)?)
}
