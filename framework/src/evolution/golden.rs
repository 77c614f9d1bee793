//! A sample of every version of every event, which must be readable for ever.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::Value;

use super::{
    check::Set,
    file::{Mode, UPDATE, read, write},
    lock::{Id, Lock},
};

/// Compares samples and events, or writes those that are missing. Tells what is wrong.
pub(super) fn check(folder: &Path, lock: &Lock, sets: &[Set], mode: Mode) -> Vec<String> {
    let check = |id: &Id, current| one(folder, id, current, sets, mode).err();
    lock.0.iter().filter_map(|(id, entry)| check(id, entry.current)).collect()
}

fn one(folder: &Path, id: &Id, current: bool, sets: &[Set], mode: Mode) -> Result<(), String> {
    let path = folder.join(file_of(id));
    let Some(set) = sets.iter().find(|set| set.declares(id)) else { return Ok(()) };
    let sample = match (read(&path)?, set.example(id).filter(|_| current)) {
        (Some(sample), _) => sample,
        (None, Some(example)) if mode == Mode::Update => {
            let sample = pretty(example).map_err(|error| format!("{id}: the example is not JSON: {error}"))?;
            write(&path, &sample)?;
            sample
        }
        (None, Some(_)) => return Err(format!("{id} has no sample. Write it with `{UPDATE}`, and commit it")),
        (None, None) if current => {
            return Err(format!("{id} has no sample. Give an example of it to `.events([...])`, then `{UPDATE}`"));
        }
        (None, None) => {
            let path = path.display();
            return Err(format!("{id} has no sample. Write a payload as it was recorded then into {path}"));
        }
    };
    let said = |error: String| format!("the sample {} of {id} {error}", path.display());
    let again = (set.read_and_write)(&id.name, id.version, sample.as_bytes()).map_err(said)?;
    if current {
        // Only the current version comes back in the shape in which it went.
        let value = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).map_err(|error| said(error.to_string()));
        if let Some(lost) = lost(&value(sample.as_bytes())?, &value(&again)?, "") {
            let advice =
                "what was recorded is not read whole, so a type within changed: take it back, or declare a new version";
            return Err(said(format!("comes back without `{lost}`: {advice}")));
        }
    }
    Ok(())
}

/// `account/money-deposited.v1.json`, with only such characters as any file system takes.
fn file_of(Id { category, name, version }: &Id) -> PathBuf {
    Path::new(&safe(category)).join(format!("{}.v{version}.json", safe(name)))
}

fn safe(name: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02x}"),
    };
    name.bytes().map(byte).collect()
}

fn pretty(json: &Bytes) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(&serde_json::from_slice::<Value>(json)?)?;
    text.push('\n');
    Ok(text)
}

/// The first thing of `before` that is not in `after`, which may hold more: a field that was added since.
fn lost(before: &Value, after: &Value, path: &str) -> Option<String> {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => before.iter().find_map(|(name, value)| {
            let path = format!("{path}.{name}");
            after.get(name).map_or(Some(path.clone()), |after| lost(value, after, &path))
        }),
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            let mut pairs = before.iter().zip(after).enumerate();
            pairs.find_map(|(index, (before, after))| lost(before, after, &format!("{path}[{index}]")))
        }
        _ if before == after => None,
        _ => Some(format!("{path} = {before}")),
    }
}
