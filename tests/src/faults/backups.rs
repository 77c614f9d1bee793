//! What must hold of backups, and of what is made of them.

use std::{fs, ops::ControlFlow, path::Path};

use annalist_core::{Position, Read, RecordedEvent};
use annalist_store::{BackupError, Backups, RestoreOptions, Store};

use super::{
    Ledger,
    audit::{collect, ensure, failed},
    options,
};

/// The folders of the driver's backups, and of what it restores, below its root.
pub const BACKUPS: &str = "backups";
/// See [`BACKUPS`].
pub const RESTORED: &str = "restored";

fn said(what: &str) -> impl FnOnce(BackupError) -> String {
    move |error| format!("{what}: {error:?}")
}

/// Backups that were made are there and whole, end where they said they do, and have what was acknowledged before; the last one
/// becomes a store that is the beginning of the log, also where a restore was interrupted; so is what was restored.
pub(super) async fn audit(root: &Path, ledger: &mut Ledger, events: &[RecordedEvent], seed: u64) -> Result<(), String> {
    let (backups, dir) = (Backups::of(root.join(BACKUPS)), root.join(RESTORED));
    let mut listed = Vec::new();
    for backup in backups.list().map_err(said("listing backups"))? {
        let backup = backup.map_err(|damaged| format!("a backup is damaged: {damaged}"))?;
        let damaged = backups.verify(Some(backup.number), |_| {}).map_err(said("verifying a backup"))?;
        ensure(damaged.is_empty(), || format!("backup {} is damaged: {damaged:?}", backup.number))?;
        listed.push((backup.number, backup.head.position.get()));
    }
    if let Some((number, end, before)) = ledger.backups.last() {
        ensure(end >= before, || format!("backup {number} ends at {end}, {before} was acknowledged before it"))?;
        // A later one may be whole that nobody was told of.
        let is_there = listed.contains(&(*number, *end)) || listed.last().is_some_and(|(last, _)| last > number);
        ensure(is_there, || format!("backup {number}, up to {end}, was made, and there are {listed:?}"))?;
    }
    if dir.join("STORE").exists() {
        let end = is_beginning(&dir, events, seed).await?;
        let said = ledger.restored.unwrap_or(end);
        ensure(said == end, || format!("a store was restored up to {said} and ends at {end}"))?;
        fs::remove_dir_all(&dir).map_err(|error| error.to_string())?;
    } else if let Some(end) = ledger.restored {
        return Err(format!("the store that was restored up to {end} is not there"));
    }
    ledger.restored = None;
    let Some((_, end)) = listed.last() else { return Ok(()) };
    let mut settings = RestoreOptions::default();
    settings.store = options(seed);
    backups.restore(None, &dir, settings, |_| {}).map_err(said("restoring"))?;
    let restored = is_beginning(&dir, events, seed).await?;
    ensure(restored == *end, || format!("the backup ends at {end}, and what is made of it at {restored}"))?;
    fs::remove_dir_all(&dir).map_err(|error| error.to_string())
}

/// Whether the log of a restored store is the beginning of this one. Returns where it ends.
async fn is_beginning(dir: &Path, events: &[RecordedEvent], seed: u64) -> Result<u64, String> {
    let store = Store::open_with(dir, options(seed)).map_err(|error| format!("what was restored: {error:?}"))?;
    let restored = collect(&store, Read::all(Position::ZERO)).await?;
    let is_beginning = restored.len() <= events.len() && restored.iter().eq(events.iter().take(restored.len()));
    ensure(is_beginning, || "what was restored is not the beginning of the log".to_owned())?;
    let verified = store.verify(Position::ZERO, |_| ControlFlow::Continue(())).await.map_err(failed("verifying"))?;
    ensure(verified.is_sound() && verified.is_complete(), || format!("verifying what was restored: {verified:?}"))?;
    store.close().await.map_err(failed("closing what was restored"))?;
    Ok(restored.len() as u64)
}
