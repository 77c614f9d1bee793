//! Whether what clients were told, and what the log holds, can be true together.

use std::collections::{BTreeMap, BTreeSet};

use annalist_core::{
    Append, AppendError, Appended, EventId, Fingerprint, Position, RecordedEvent, StoreError, Version,
};

use crate::{
    format::{Item, Page},
    rocks::Disk,
    world::{Call, Ledger, Seen, is_backward, is_of},
};

/// What one append has recorded.
#[derive(Debug)]
struct Commit {
    after: Position,
    key: Option<(Vec<u8>, Vec<u8>, Fingerprint)>,
    events: Vec<RecordedEvent>,
}

impl Commit {
    fn last(&self) -> Position {
        self.events.last().map_or(self.after, |event| event.position)
    }

    fn ids(&self) -> Vec<EventId> {
        self.events.iter().map(|event| event.id).collect()
    }

    fn has_key_of(&self, append: &Append) -> bool {
        append.keyed.as_ref().is_some_and(|keyed| {
            self.key
                .as_ref()
                .is_some_and(|(scope, id, _)| scope == keyed.key.scope().as_bytes() && id == keyed.key.id().as_bytes())
        })
    }
}

/// Judges all that was noted, when the store is closed.
pub(crate) fn judge(ledger: &Ledger) {
    let log = Log::of(&ledger.disk);
    let calls = ledger.calls();
    let owners: Vec<Option<&Call>> = log.commits.iter().map(|commit| owner(commit, &calls)).collect();
    log.is_sound(&owners);
    for call in &*calls {
        let recorded = owners.iter().filter(|owner| owner.is_some_and(|owner| std::ptr::eq(owner, call))).count();
        log.judge_call(call, recorded, ledger);
    }
    for seen in &*ledger.seen() {
        log.judge_read(seen);
    }
    for (head, streams) in &*ledger.held() {
        let names: BTreeSet<&str> =
            log.events().take_while(|event| event.position <= *head).map(RecordedEvent::stream).collect();
        assert_eq!(names.len() as u64, *streams, "streams up to {head}");
    }
}

struct Log {
    commits: Vec<Commit>,
}

impl Log {
    fn of(disk: &Disk) -> Self {
        let mut commits: Vec<Commit> = Vec::new();
        let mut left = 0;
        for (first, bytes) in disk.log() {
            let page = Page::decode(bytes, first).expect("a page can be read");
            for item in page.items() {
                match item.expect("an item can be read") {
                    Item::Frame(frame) => {
                        assert_eq!(left, 0, "a commit begins within another");
                        left = frame.count;
                        let key = frame.keyed.map(|keyed| (keyed.scope.to_vec(), keyed.id.to_vec(), keyed.fingerprint));
                        let after = commits.last().map_or(Position::ZERO, Commit::last);
                        commits.push(Commit { after, key, events: Vec::new() });
                    }
                    Item::Record(event) => {
                        left -= 1;
                        commits.last_mut().expect("a frame comes first").events.push(event);
                    }
                }
            }
        }
        assert_eq!(left, 0, "a commit is there in part");
        Self { commits }
    }

    fn events(&self) -> impl DoubleEndedIterator<Item = &RecordedEvent> {
        self.commits.iter().flat_map(|commit| &commit.events)
    }

    fn commit_behind(&self, after: Position) -> Option<&Commit> {
        self.commits.iter().find(|commit| commit.after == after)
    }

    fn commit_of_key(&self, append: &Append) -> Option<&Commit> {
        self.commits.iter().find(|commit| commit.has_key_of(append))
    }

    /// Positions, versions and times follow each other; each commit is somebody's, and was right when it was recorded.
    fn is_sound(&self, owners: &[Option<&Call>]) {
        let mut versions: BTreeMap<&str, Version> = BTreeMap::new();
        let (mut position, mut time) = (Position::ZERO, None);
        for (commit, owner) in self.commits.iter().zip(owners) {
            let call =
                owner.unwrap_or_else(|| panic!("nobody has asked for {commit:?}, or who has was told otherwise"));
            for entry in &call.append.entries {
                let actual = versions.get(entry.stream.as_str()).copied().unwrap_or_default();
                assert!(entry.expected.holds(actual), "{call:?} was recorded when the stream was at {actual}");
            }
            for condition in &call.append.conditions {
                let met = self.events().find(|event| {
                    event.position > condition.after()
                        && event.position <= commit.after
                        && condition.query.matches(event)
                });
                assert!(met.is_none(), "{call:?} was recorded behind {met:?}");
            }
            let first = self.commits.iter().find(|first| commit.key.is_some() && first.has_key_of(&call.append));
            assert!(first.is_none_or(|first| first.after == commit.after), "a key is recorded twice: {call:?}");
            for event in &commit.events {
                position = position.next();
                assert_eq!(event.position, position, "positions have a hole");
                assert!(Some(event.time) >= time, "time goes backwards");
                time = Some(event.time);
                let version = versions.entry(event.stream()).or_default();
                *version = version.next();
                assert_eq!(event.version, *version, "versions of {} have a hole", event.stream());
            }
        }
    }

    fn judge_call(&self, call: &Call, recorded: usize, ledger: &Ledger) {
        let Some(answer) = &call.answer else { return };
        match answer {
            Ok(appended) if appended.repeated => self.judge_repetition(call, appended),
            Ok(appended) => self.judge_recorded(call, appended, recorded),
            Err(AppendError::Unknown { .. }) => {
                assert!(ledger.disk.has_failed(), "{call:?} is unknown, and nothing has failed");
            }
            Err(refused) => {
                assert_eq!(recorded, 0, "{call:?} is recorded");
                match refused {
                    AppendError::Conflict { stream, expected, actual } => {
                        assert!(!expected.holds(*actual), "{call:?} met no conflict");
                        let version_at = |position| {
                            let own = self.events().filter(|event| event.stream() == stream.as_str());
                            own.take_while(|event| event.position <= position)
                                .last()
                                .map_or(Version::ZERO, |event| event.version)
                        };
                        assert!(version_at(call.known) <= *actual, "{call:?} was refused with what was out of date");
                        assert!(*actual <= version_at(call.durable), "{call:?} was refused with what is not durable");
                    }
                    AppendError::ConditionFailed { number, first, .. } => {
                        let condition = call.append.conditions.get(number - 1).expect("it has such a condition");
                        let met = self.events().find(|event| event.position == *first).expect("there is such an event");
                        assert!(*first > condition.after() && condition.query.matches(met), "{call:?} met {met:?}");
                        assert!(*first <= call.durable, "{call:?} was refused with what is not durable");
                    }
                    AppendError::KeyReused { .. } => {
                        let commit = self.commit_of_key(&call.append).expect("its key is recorded");
                        assert!(commit.last() <= call.durable, "{call:?} was refused with what is not durable");
                    }
                    AppendError::Poisoned { .. } => {
                        assert!(ledger.disk.has_failed(), "{call:?} was refused, and nothing has failed");
                    }
                    AppendError::Unavailable { .. } => {
                        assert!(ledger.faults.chunk > 0, "{call:?} was refused, and nothing is wrong with the index");
                    }
                    AppendError::Store(StoreError::Closed) => {
                        assert!(ledger.is_closing(), "{call:?} was refused, and the store was open");
                    }
                    other => panic!("{call:?} was refused with {other}"),
                }
            }
        }
    }

    fn judge_recorded(&self, call: &Call, appended: &Appended, recorded: usize) {
        let Appended { after, cursor, streams, .. } = appended;
        assert!(cursor.position <= call.durable, "{call:?} was acknowledged and is not durable");
        if *after == cursor.position {
            assert_eq!(recorded, 0, "{call:?} is recorded");
            return;
        }
        assert_eq!(recorded, 1, "{call:?} is not recorded as it was told");
        let commit = self.commit_behind(*after).expect("it is recorded there");
        assert_eq!(commit.last(), cursor.position, "{call:?} ends elsewhere");
        for (stream, version) in streams {
            let own = commit.events.iter().rfind(|event| event.stream() == stream.as_str());
            assert_eq!(own.map(|event| event.version), Some(*version), "{call:?} was told another version");
        }
        assert!(call.append.keyed.is_none() || commit.has_key_of(&call.append), "the key of {call:?} is not recorded");
    }

    fn judge_repetition(&self, call: &Call, appended: &Appended) {
        let commit = self.commit_of_key(&call.append).unwrap_or_else(|| panic!("the key of {call:?} is not recorded"));
        let fingerprint = call.append.keyed.as_ref().map(|keyed| keyed.fingerprint);
        assert_eq!(
            commit.key.as_ref().map(|(_, _, fingerprint)| *fingerprint),
            fingerprint,
            "{call:?} is no repetition"
        );
        assert_eq!((commit.after, commit.last()), (appended.after, appended.cursor.position), "{call:?}");
        assert!(commit.last() <= call.durable, "{call:?} was repeated and is not durable");
    }

    /// A read shows each of its events once, in order.
    fn judge_read(&self, seen: &Seen) {
        let Seen { read, head, events } = seen;
        let own = self.events().filter(|event| event.position <= *head && is_of(read, event));
        let expected: Vec<Position> = if is_backward(read) {
            own.rev().map(|event| event.position).collect()
        } else {
            own.map(|event| event.position).collect()
        };
        let shown: Vec<Position> = events.iter().map(|event| event.position).collect();
        assert_eq!(shown, expected, "{read:?} at {head}");
    }
}

/// Whose commit it is. Of those with one key and no events it is the one that was told so.
fn owner<'a>(commit: &Commit, calls: &'a [Call]) -> Option<&'a Call> {
    let is_told = |call: &&Call| matches!(&call.answer, Some(Ok(appended)) if !appended.repeated && appended.after == commit.after && appended.cursor.position > commit.after);
    let may_be = |call: &&Call| {
        let ids: Vec<EventId> =
            call.append.entries.iter().flat_map(|entry| &entry.events).map(|event| event.id).collect();
        if ids.is_empty() { commit.has_key_of(&call.append) } else { ids == commit.ids() }
    };
    let mut own = calls.iter().filter(may_be);
    own.clone()
        .find(is_told)
        .or_else(|| own.find(|call| matches!(call.answer, None | Some(Err(AppendError::Unknown { .. })))))
}
