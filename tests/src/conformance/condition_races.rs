//! Conditions when many decide at once.

use annalist_core::{Append, AppendError, Appended, Cursor, Expected, Position, Query, QueryItem, Read, RecordedEvent};

use super::{
    Store,
    concurrency::{Answer, race, together},
    support::{event, find, numbers, positions, rest, stream, tagged, tags, typed, whole_log},
};

fn winner(answers: &[Answer]) -> &Appended {
    let won: Vec<&Appended> = answers.iter().filter_map(|answer| answer.as_ref().ok()).collect();
    match won.as_slice() {
        [one] => one,
        _ => panic!("exactly one wins: {answers:?}"),
    }
}

pub async fn of_many_that_claim_the_same_name_one_wins(store: &Store) {
    for round in 0..25 {
        let name = format!("name:{round}");
        let query = Query::tags(tags(&[&name]));
        let claims = (0..8).map(|task| {
            let home = stream(&format!("user-{round}-{task}"));
            let claimed = Append::new().events(home, Expected::NoStream, [event(task), tagged(task, &[&name])]);
            claimed.unless(query.clone(), Cursor::START)
        });
        let answers = race(store, claims.collect()).await;
        let first = winner(&answers).cursor.position;
        let refused = AppendError::ConditionFailed { number: 1, query: query.clone(), first };
        for loser in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert_eq!(*loser, refused, "round {round}");
        }
        assert_eq!(positions(&find(store, query).await), [first.get()], "round {round}");
    }
    assert_eq!(whole_log(store).await.len(), 50);
}

pub async fn of_two_that_forbid_each_other_one_wins(store: &Store) {
    for round in 0..25 {
        let [left, right] = ["left", "right"].map(|side| format!("{side}:{round}"));
        let asked = |own: &str, other: &str| {
            let home = stream(&format!("{own}-1"));
            let one = Append::new().events(home, Expected::NoStream, [tagged(round, &[own])]);
            one.unless(Query::tags(tags(&[other])), Cursor::START)
        };
        let answers = race(store, vec![asked(&left, &right), asked(&right, &left)]).await;
        let first = winner(&answers).cursor.position;
        for (other, refused) in
            [&right, &left].into_iter().zip(&answers).filter_map(|(o, a)| Some((o, a.as_ref().err()?)))
        {
            let query = Query::tags(tags(&[other]));
            assert_eq!(*refused, AppendError::ConditionFailed { number: 1, query, first }, "round {round}");
        }
    }
}

pub async fn decisions_about_different_things_do_not_disturb_each_other(store: &Store) {
    let answers = together(8, |task| {
        let store = store.clone();
        async move {
            let own = format!("own:{task}");
            let mut seen = Cursor::START;
            for number in 0..30 {
                // All write to one stream; only their tags keep them apart.
                let one = Append::new().events(stream("shared-1"), Expected::Any, [tagged(number, &["all", &own])]);
                let own = QueryItem::new().types(["counted"]).tags(tags(&["all", &own])).category("shared");
                seen = store.append(one.unless(own, seen)).await?.cursor;
            }
            Ok::<_, AppendError>(())
        }
    })
    .await;
    assert_eq!(answers, vec![Ok(()); 8], "nothing about their own came from others");
    for task in 0..8 {
        let own = find(store, Query::tags(tags(&[&format!("own:{task}")]))).await;
        assert_eq!(numbers(&own), (0..30).collect::<Vec<_>>());
    }
}

/// Reads all that matches, with the cursor that a decision resting on it gives to its condition.
async fn decision_model(store: &Store, query: &Query) -> (Vec<RecordedEvent>, Cursor) {
    let read = Read::query(query.clone(), Position::ZERO);
    let mut batches = store.read(read).await.expect("the read begins");
    let found = rest(&mut *batches).await;
    (found, batches.head())
}

const COURSES: u64 = 4;
const CAPACITY: usize = 3;
const STUDENTS: u64 = 8;
const COURSES_PER_STUDENT: usize = 2;

/// What a student wants to know of a course: what happened to it, and to the student.
fn boundary(course: &str, student: &str) -> Query {
    let item = || QueryItem::new().types(["enrolled", "left"]);
    Query::of(item().tags(tags(&[course]))).or(item().tags(tags(&[student])))
}

fn enrolments(events: &[RecordedEvent], who: &str) -> usize {
    let of =
        |kind| events.iter().filter(|event| event.type_name() == kind && event.tags().any(|tag| tag == who)).count();
    of("enrolled") - of("left")
}

/// One student, who enrols where there is room, and leaves again now and then.
async fn study(store: Store, number: u64) -> usize {
    let (student, mut conflicts) = (format!("student:{number}"), 0);
    for step in 0..20 {
        let course = format!("course:{}", (number + step) % COURSES);
        let query = boundary(&course, &student);
        loop {
            let (seen, head) = decision_model(&store, &query).await;
            let has = |kind: &str| {
                let mine = |event: &&RecordedEvent| {
                    event.type_name() == kind
                        && [&course, &student].iter().all(|who| event.tags().any(|tag| tag == **who))
                };
                seen.iter().filter(mine).count()
            };
            let is_in = has("enrolled") > has("left");
            let is_full = enrolments(&seen, &course) >= CAPACITY || enrolments(&seen, &student) >= COURSES_PER_STUDENT;
            let kind = match (is_in, is_full) {
                (true, _) => "left",
                (false, false) => "enrolled",
                (false, true) => break,
            };
            let decided = typed(kind, step, &[&student, &course]);
            let home = stream(&format!("enrolment-{number}"));
            let append = Append::new().events(home, Expected::Any, [decided]).unless(query.clone(), head);
            match store.append(append).await {
                Ok(_) => break,
                Err(AppendError::ConditionFailed { number: 1, query: named, first }) => {
                    assert_eq!(named, query);
                    assert!(first > head.position, "what was seen does not count: {first}");
                    conflicts += 1;
                }
                Err(other) => panic!("expected that it is accepted or to be decided again: {other:?}"),
            }
        }
    }
    conflicts
}

pub async fn a_course_is_never_overbooked(store: &Store) {
    let conflicts = together(STUDENTS, |number| study(store.clone(), number)).await;
    let log = whole_log(store).await;
    assert!(log.len() > 20, "the students did something: {conflicts:?} conflicts");
    for end in 0..=log.len() {
        let prefix = log.get(..end).unwrap_or_default();
        for course in 0..COURSES {
            let booked = enrolments(prefix, &format!("course:{course}"));
            assert!(booked <= CAPACITY, "course {course} has {booked} at position {end}");
        }
        for student in 0..STUDENTS {
            let booked = enrolments(prefix, &format!("student:{student}"));
            assert!(booked <= COURSES_PER_STUDENT, "student {student} has {booked} at position {end}");
        }
    }
}

pub async fn whole_log_decisions_follow_one_another(store: &Store) {
    let accepted = together(6, |task| {
        let store = store.clone();
        async move {
            let mut accepted = 0;
            while accepted < 15 {
                let (seen, head) = decision_model(&store, &Query::all()).await;
                let next = seen.len() as u64 + 1;
                let one = Append::new().events(stream(&format!("count-{task}")), Expected::Any, [event(next)]);
                match store.append(one.unless(Query::all(), head)).await {
                    Ok(_) => accepted += 1,
                    Err(AppendError::ConditionFailed { first, .. }) => assert_eq!(first, head.position.next()),
                    Err(other) => panic!("expected that it is accepted or to be decided again: {other:?}"),
                }
            }
            accepted
        }
    })
    .await;
    assert_eq!(accepted, [15; 6]);
    // Each wrote the number behind the last that it saw: had two decided at the same place, one would come twice.
    assert_eq!(numbers(&whole_log(store).await), (1..=90).collect::<Vec<_>>());
}
