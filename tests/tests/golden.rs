//! Data directories of every released format, opened by this version. They were written by `golden_writer` and are never
//! written again: a change that cannot read them has changed the format.

use std::{fs, path::Path};

use annalist_core::{EventStore as _, Expected, Fingerprint, Key, Position, Read, StreamId, Version};
use annalist_store::Store;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("the golden folder is there") {
        let entry = entry.expect("it can be listed");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}

async fn lines(store: &Store, read: Read) -> Vec<String> {
    let mut read = store.read(read).await.expect("it can be read");
    let mut lines = Vec::new();
    loop {
        let batch = read.next().await.expect("it is sound");
        if batch.is_empty() {
            return lines;
        }
        lines.extend(batch.iter().map(|event| {
            let payload = String::from_utf8_lossy(event.payload());
            let time = event.time.as_micros();
            let (kind, version) = (event.type_name(), event.type_version());
            format!(
                "{} {} {} {kind}.v{version} {} {time} {payload}",
                event.position,
                event.stream(),
                event.version,
                event.id
            )
        }));
    }
}

async fn check(name: &str, without_index: bool) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let expected = fs::read_to_string(golden.join(format!("{name}.expected"))).expect("what it holds is written down");
    let expected: Vec<&str> = expected.lines().collect();
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let dir = temporary.path().join(name);
    copy(&golden.join(name), &dir);
    if without_index {
        fs::remove_dir_all(dir.join("index")).expect("the index can be deleted");
    }
    let store = Store::open(&dir).expect("the store opens");
    assert_eq!(lines(&store, Read::all(Position::ZERO)).await, expected, "every event is as it was");
    let stream = StreamId::new("golden-3").expect("a name");
    let of_stream: Vec<_> = expected.iter().filter(|line| line.contains(" golden-3 ")).copied().collect();
    assert_eq!(lines(&store, Read::stream(stream, Version::ZERO)).await, of_stream, "every stream too");

    let fifth =
        &store.read(Read::all(Position::new(4)).limit(1)).await.expect("it can be read").next().await.expect("sound");
    let metadata = fifth.first().expect("there is a fifth event").metadata();
    assert_eq!(metadata.correlation_id.as_deref(), Some("c5"));
    assert_eq!(metadata.pairs.get("reason").map(String::as_str), Some("golden"));
    assert_eq!(fifth.first().expect("a fifth").tags().collect::<Vec<_>>(), ["five:5", "five"]);

    for (id, fingerprint, reply) in
        [("k58", 9, "reply 58"), ("empty", 8, "nothing"), ("large", 7, ""), ("tail", 6, "tail")]
    {
        let outcome = store.outcome(&Key::new("golden", id).expect("a key")).await.expect("keys can be read");
        let outcome = outcome.unwrap_or_else(|| panic!("the key {id} is remembered"));
        assert_eq!((outcome.fingerprint, &outcome.reply[..]), (Fingerprint::new([fingerprint; 16]), reply.as_bytes()));
    }
    let guard = annalist_core::Append::new()
        .guard(StreamId::new("golden-large").expect("a name"), Expected::Exact(Version::new(30)));
    store.append(guard).await.expect("the large commit is whole");
    store.close().await.expect("it closes");
}

#[tokio::test]
async fn format_1_opens() {
    check("format-1", false).await;
}

#[tokio::test]
async fn format_1_opens_without_its_index() {
    check("format-1", true).await;
}
