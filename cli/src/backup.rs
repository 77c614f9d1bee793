//! `annalist backup`: copies the log into a folder of backups.

use std::{num::NonZeroUsize, path::PathBuf};

use annalist_store::{Backup, BackupOptions};
use clap::Args;
use serde_json::{Value, json};

use crate::{
    failure::{Done, Failure},
    output::Output,
    place::Folder,
};

/// Makes a backup of the store: all of it the first time, afterwards what is new
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    folder: Folder,
    /// The folder of the backups of this store; on another disk, if it is to help when this one fails.
    backups: PathBuf,
    /// Remove all but the newest so many backups when the new one is whole; it counts.
    #[arg(long)]
    keep: Option<NonZeroUsize>,
}

pub(crate) async fn run(arguments: Arguments, output: &mut Output) -> Result<Done, Failure> {
    let store = arguments.folder.open().await?;
    let mut options = BackupOptions::default();
    options.keep = arguments.keep;
    let bar = Output::bar("copying");
    let backup = store.backup(arguments.backups, options, move |progress| bar.show(progress)).await?;
    store.close().await?;
    if output.json {
        output.value(&json(&backup))?;
    } else {
        let Backup { number, head, files, bytes, added_bytes, .. } = &backup;
        let position = head.position;
        output.line(&format!(
            "backup {number} holds positions 1 to {position}: {bytes} bytes in {files} files, {added_bytes} of them new"
        ))?;
    }
    Ok(Done::Well)
}

/// What is known of a backup.
pub(crate) fn json(backup: &Backup) -> Value {
    let Backup { number, time, head, files, bytes, added_bytes, .. } = backup;
    json!({
        "number": number,
        "time": time.to_string(),
        "store": head.store.to_string(),
        "epoch": head.epoch.get(),
        "position": head.position.get(),
        "files": files,
        "bytes": bytes,
        "added_bytes": added_bytes,
    })
}
