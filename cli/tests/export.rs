//! Exporting events and recording them elsewhere, with the real binary: the same events come back, byte by byte.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use annalist_core::{
    Append, ContentType, EventId, EventStore as _, EventType, Expected, Fingerprint, Key, Metadata, NewEvent, Position,
    Read, RecordedEvent, StreamId, Tag,
};
use annalist_store::Store;
use serde_json::Value;
use tempfile::TempDir;

fn annalist(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_annalist")).args(arguments).output().expect("the program runs")
}

fn done(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

fn refused(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stderr.clone()).expect("it prints UTF-8")
}

fn joined<'a>(first: &[&'a str], query: &[&'a str]) -> Vec<&'a str> {
    [first, query].concat()
}

struct World {
    _folder: TempDir,
    data: String,
    other: String,
    file: String,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let of = |name: &str| folder.path().join(name).to_str().expect("it is text").to_owned();
        Self { data: of("data"), other: of("other"), file: of("events.ndjson"), _folder: folder }
    }

    fn part(&self) -> PathBuf {
        PathBuf::from(format!("{}.part", self.file))
    }
}

/// Payloads that a parser would give back with other bytes, and some that are no JSON.
fn payloads() -> Vec<(ContentType, Vec<u8>)> {
    let json = [
        r#"{"b":1,"a":2,"b":3}"#,
        r#"{"n":1.0,"big":123456789012345678901234567890,"e":1E+2,"z":-0}"#,
        r#"{ "spaced" : [ 1 ,2 ] }"#,
        " {\"around\":1} ",
        "{\n  \"pretty\": true\n}",
        r#""\u00e9\/é""#,
        "\"\u{2028}\"",
        "null",
        "not json",
        "",
    ];
    let mut payloads: Vec<_> = json.iter().map(|text| (ContentType::JSON, text.as_bytes().to_vec())).collect();
    payloads.push((ContentType::JSON, vec![b'"', 0xff, b'"']));
    payloads.push((ContentType::BYTES, vec![0, 1, 2, 255]));
    payloads.push((ContentType::new("text/plain").expect("a content type"), b"{\"like\":\"json\"}".to_vec()));
    payloads
}

async fn fill(dir: &str, rounds: usize) -> Vec<RecordedEvent> {
    let store = Store::open(dir).expect("the store opens");
    for round in 0..rounds {
        for (number, (content_type, payload)) in payloads().into_iter().enumerate() {
            let event_type = EventType::versioned(if number % 2 == 0 { "even" } else { "odd" }, 3).expect("a type");
            let mut event = NewEvent::new(EventId::generate(), event_type, payload)
                .with_content_type(content_type)
                .with_tags([Tag::new(format!("round \"{round}\"")).expect("a tag")]);
            event.metadata = Metadata {
                actor: Some("ann \"the\" tester".to_owned()),
                correlation_id: Some(format!("c{round}")),
                pairs: [("shift".to_owned(), "né\\1".to_owned())].into(),
                ..Metadata::default()
            };
            let stream = StreamId::of(if number % 2 == 0 { "one" } else { "two" }, round % 3).expect("a stream");
            store.append(Append::new().events(stream, Expected::Any, [event])).await.expect("it is recorded");
        }
    }
    let key = Key::new("test", "empty").expect("a key");
    store.append(Append::new().keyed(key, Fingerprint::new([1; 16]), "")).await.expect("it is recorded");
    let events = all(&store).await;
    store.close().await.expect("it closes");
    events
}

async fn all(store: &Store) -> Vec<RecordedEvent> {
    let mut batches = store.read(Read::all(Position::ZERO)).await.expect("it can be read");
    let mut events = Vec::new();
    loop {
        let batch = batches.next().await.expect("it can be read");
        if batch.is_empty() {
            return events;
        }
        events.extend(batch);
    }
}

async fn read(dir: &str) -> Vec<RecordedEvent> {
    let store = Store::open(dir).expect("the store opens");
    let events = all(&store).await;
    let verified =
        store.verify(Position::ZERO, |_| std::ops::ControlFlow::Continue(())).await.expect("it can be verified");
    assert!(verified.is_sound(), "{verified:?}");
    store.close().await.expect("it closes");
    events
}

#[tokio::test]
async fn events_come_back_as_they_were_and_an_import_can_be_run_again() {
    let world = World::new();
    let original = fill(&world.data, 30).await;
    let events = original.len() - 1;
    let exported = done(&annalist(&["export", "--json", &world.data, &world.file]));
    assert_eq!((&exported["events"], &exported["left_out"]), (&events.into(), &1.into()));
    assert!(!world.part().exists());
    for line in fs::read_to_string(&world.file).expect("it is text").lines() {
        let value: Value = serde_json::from_str(line).expect("each line is JSON");
        let attributes = value.as_object().expect("an object").iter().filter(|(name, _)| *name != "data");
        assert!(attributes.clone().all(|(_, value)| value.is_string() || value.is_u64()), "simple values: {line}");
        assert!(
            attributes.clone().all(|(name, _)| name.chars().all(|c| c.is_ascii_lowercase()) || name == "data_base64")
        );
        assert_eq!(value["specversion"], "1.0");
    }

    assert!(refused(&annalist(&["import", &world.other, &world.file]), 3).contains("is not a store"));
    for expected in [(events, 0), (0, events)] {
        let imported = done(&annalist(&["import", "--json", "--create", &world.other, &world.file]));
        assert_eq!((&imported["recorded"], &imported["present"]), (&expected.0.into(), &expected.1.into()));
    }
    assert_eq!(read(&world.other).await, original[..events], "ids, versions, times, bytes and all");
}

#[tokio::test]
async fn an_export_by_query_goes_on_where_it_broke_off() {
    let world = World::new();
    let original = fill(&world.data, 20).await;
    let whole = format!("{}.whole", world.file);
    let query = ["--category", "two", "--after", "13", "--to", "200"];
    done(&annalist(&joined(&["export", "--json", &world.data, &whole], &query)));
    let text = fs::read_to_string(&whole).expect("it is text");
    let expected =
        original.iter().filter(|event| event.category() == "two" && (14..=200).contains(&event.position.get()));
    assert_eq!(text.lines().count(), expected.count());

    // Wherever it was broken off: in the middle of a line, of a character, between two lines, at the very beginning.
    for cut in (0..text.len()).step_by(1_009).chain([text.len()]) {
        fs::write(world.part(), &text.as_bytes()[..cut]).expect("it can be written");
        assert!(refused(&annalist(&joined(&["export", &world.data, &world.file], &query)), 2).contains("--resume"));
        done(&annalist(&joined(&["export", "--json", "--resume", &world.data, &world.file], &query)));
        assert_eq!(fs::read_to_string(&world.file).expect("it is text"), text, "cut at {cut}");
        fs::remove_file(&world.file).expect("it can be removed");
    }
    fs::write(world.part(), "{}\n").expect("it can be written");
    refused(&annalist(&joined(&["export", "--resume", &world.data, &world.file], &query)), 2);
    fs::write(&world.file, "").expect("it can be written");
    refused(&annalist(&joined(&["export", &world.data, &world.file], &query)), 2);
}

#[tokio::test]
async fn an_import_that_was_interrupted_or_goes_into_a_store_with_events_leaves_no_doubles() {
    let world = World::new();
    let original = fill(&world.data, 40).await;
    let events = original.len() - 1;
    done(&annalist(&["export", "--json", &world.data, &world.file]));
    let text = fs::read_to_string(&world.file).expect("it is text");
    let lines: Vec<&str> = text.lines().collect();
    let part = format!("{}.some", world.file);
    for count in [1, 300, 301, events] {
        fs::write(&part, lines[..count].join("\n")).expect("it can be written");
        let imported = done(&annalist(&["import", "--json", "--create", &world.other, &part]));
        assert_eq!(imported["position"], count);
    }
    assert_eq!(read(&world.other).await, original[..events]);
}

#[tokio::test]
async fn what_cannot_be_recorded_as_it_is_is_refused_with_its_line() {
    let world = World::new();
    fill(&world.data, 3).await;
    done(&annalist(&["export", "--json", &world.data, &world.file]));
    let text = fs::read_to_string(&world.file).expect("it is text");
    let lines: Vec<&str> = text.lines().collect();
    let import = |lines: &[String]| {
        let file = format!("{}.some", world.file);
        fs::write(&file, lines.join("\n")).expect("it can be written");
        let _ = fs::remove_dir_all(&world.other);
        annalist(&["import", "--create", &world.other, &file])
    };
    let all = || lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    let replaced = |at: usize, from: &str, to: &str| {
        let mut lines = all();
        assert!(lines[at].contains(from), "{}", lines[at]);
        lines[at] = lines[at].replace(from, to);
        lines
    };
    assert!(import(&all()).status.success());

    let mut gap = all();
    gap.remove(2);
    let said = refused(&import(&gap), 6);
    assert!(said.contains("line 4: ") && said.contains("versions are never left out"), "{said}");
    let mut swapped = all();
    swapped.swap(20, 21);
    assert!(refused(&import(&swapped), 6).contains("line 22: "), "times never decrease");
    let late = replaced(4, "\"time\":\"2", "\"time\":\"3");
    assert!(refused(&import(&late), 6).contains("line 5: this was recorded at 3"));
    let mut doubled = all();
    doubled.insert(3, doubled[1].replace("\"id\":\"0", "\"id\":\"1"));
    assert!(refused(&import(&doubled), 6).contains("line 4: version 1 of stream `two-0` is another event here"));
    for (from, to, why) in [
        ("\"specversion\":\"1.0\"", "\"specversion\":\"0.3\"", "`specversion` is `0.3`"),
        ("\"time\":\"2", "\"time\":\"x", "`time` is `x"),
        ("\"streamversion\":\"", "\"streamversion\":\"-", "`streamversion` is"),
        ("\"subject\":\"", "\"subject\":\"-", "no category"),
        ("\"actor\":", "\"actress\":", "unknown field `actress`"),
        ("\"data\":", "\"data_base64\":", "no CloudEvent"),
        ("{", "", "no CloudEvent"),
    ] {
        let said = refused(&import(&replaced(0, from, to)), 6);
        assert!(said.contains("line 1: ") && said.contains(why), "{said}");
    }
    // Into a store whose events are newer.
    let _ = fs::remove_dir_all(&world.other);
    fill(&world.other, 1).await;
    let said = refused(&annalist(&["import", &world.other, &world.file]), 6);
    assert!(said.contains("line 1: version 1 of stream `one-0` is another event here"), "{said}");
    assert!(Path::new(&world.other).exists());
}
