use std::{fs, time::Duration};

use super::*;

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
