use std::{fs, time::Duration};

use super::*;
use crate::limits::AUDIT_IMPORTS_MAX;

fn entry(who: &str) -> Entry<'_> {
    Entry { who: Some(who), what: "POST /v1/append", from: "10.0.0.1:99", result: "denied", why: None }
}

#[test]
fn a_flood_is_counted_and_not_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("audit");
    let audit = Audit::to(Some(&path)).expect("it can be written");
    let start = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for _ in 0..AUDIT_LINES_PER_SECOND + 7 {
        audit.tell_at(entry("a"), start);
    }
    audit.tell_at(entry("b"), start + Duration::from_secs(1));
    let text = fs::read_to_string(&path).expect("it is there");
    assert_eq!(text.lines().count(), AUDIT_LINES_PER_SECOND as usize + 1);
    let last: serde_json::Value = serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
    assert_eq!((&last["who"], &last["left_out"]), (&"b".into(), &7.into()));
    assert_eq!(last["at"], "2001-09-09T01:46:41.000000Z");
}

#[test]
fn a_file_that_was_put_aside_is_begun_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let (path, aside) = (dir.path().join("audit"), dir.path().join("audit.1"));
    let audit = Audit::to(Some(&path)).expect("it can be written");
    audit.tell(entry("a"));
    fs::rename(&path, &aside).expect("renamed");
    audit.reopen().expect("it can be written");
    audit.tell(entry("b"));
    let who = |path: &Path| fs::read_to_string(path).expect("it is there").contains("\"who\":\"b\"");
    assert!(who(&path) && !who(&aside));
}

/// An audit log, and what its lines say of pieces of imports: who, from where, what came of it, and their numbers.
struct Told(tempfile::TempDir);

impl Told {
    fn begin() -> (Self, Audit) {
        let dir = tempfile::tempdir().expect("a folder");
        let audit = Audit::to(Some(&dir.path().join("audit"))).expect("it can be written");
        (Self(dir), audit)
    }

    fn lines(&self) -> Vec<(String, String, [u64; 3])> {
        let text = fs::read_to_string(self.0.path().join("audit")).expect("it is there");
        let read = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let field = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            let numbers = ["pieces", "recorded", "present"].map(|name| line[name].as_u64().unwrap_or_default());
            (format!("{} {}", field("who"), field("from")), field("result"), numbers)
        };
        text.lines().map(read).collect()
    }
}

/// A piece of 256 events of which some were there, at a second.
fn piece(audit: &Audit, who: &str, from: &str, present: u64, second: u64) {
    let entry = Entry { who: Some(who), what: "POST /annalist.v1.Care/Import", from, result: "done", why: None };
    let pieces = ImportCounts { pieces: 1, recorded: 256 - present, present };
    audit.tell_piece_at(entry, from.parse().expect("an address"), pieces, at(second));
}

fn at(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000_000 + second)
}

fn line(who: &str, result: &str, numbers: [u64; 3]) -> (String, String, [u64; 3]) {
    (who.to_owned(), result.to_owned(), numbers)
}

#[test]
fn pieces_of_an_import_are_a_line_at_once_one_a_minute_and_one_when_it_is_over() {
    let (told, audit) = Told::begin();
    for second in 0..=89 {
        for _ in 0..10 {
            piece(&audit, "a", "10.0.0.1:1", u64::from(second == 0), second);
        }
        audit.settle_at(at(second));
    }
    let mut lines =
        vec![line("a 10.0.0.1:1", "done", [1, 255, 1]), line("a 10.0.0.1:1", "done", [600, 600 * 256 - 9, 9])];
    assert_eq!(told.lines(), lines);
    audit.settle_at(at(98));
    assert_eq!(told.lines(), lines, "it may go on");
    audit.settle_at(at(99));
    lines.push(line("a 10.0.0.1:1", "done", [299, 299 * 256, 0]));
    assert_eq!(told.lines(), lines);
    // The next one is told at once, and has no more to tell.
    piece(&audit, "a", "10.0.0.1:2", 0, 99);
    audit.settle_at(at(200));
    lines.push(line("a 10.0.0.1:2", "done", [1, 256, 0]));
    assert_eq!(told.lines(), lines);
}

#[test]
fn imports_of_others_and_from_elsewhere_are_told_apart_and_all_of_them_before_what_comes_then() {
    let (told, audit) = Told::begin();
    for _ in 0..3 {
        for (who, from) in [("a", "10.0.0.1:1"), ("a", "10.0.0.2:1"), ("b", "10.0.0.1:1")] {
            piece(&audit, who, from, 0, 0);
        }
    }
    let (what, from) = ("POST /annalist.v1.Care/Import", "10.0.0.1:1");
    audit.tell_at(Entry { who: Some("a"), what, from, result: "failed", why: None }, at(1));
    let at_once = ["a 10.0.0.1:1", "a 10.0.0.2:1", "b 10.0.0.1:1"].map(|who| line(who, "done", [1, 256, 0]));
    let then = ["a 10.0.0.1:1", "a 10.0.0.2:1"].map(|who| line(who, "done", [2, 512, 0]));
    let failed = line("a 10.0.0.1:1", "failed", [0; 3]);
    assert_eq!(told.lines(), [&at_once[..], &then[..], &[failed]].concat());
    drop(audit);
    assert_eq!(told.lines().last(), Some(&line("b 10.0.0.1:1", "done", [2, 512, 0])), "the server ends");
}

#[test]
fn of_very_many_imports_nothing_is_left_out() {
    let (told, audit) = Told::begin();
    let count = AUDIT_IMPORTS_MAX + 5;
    for number in 0..count * 2 {
        piece(&audit, &format!("a{}", number % count), "10.0.0.1:1", 0, u64::from(number >= count));
    }
    drop(audit);
    let pieces: u64 = told.lines().iter().map(|(_, _, [pieces, ..])| pieces).sum();
    assert_eq!(pieces, 2 * count as u64);
}
