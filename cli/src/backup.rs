//! `annalist backup`: copies the log into a folder of backups.

use std::{num::NonZeroU32, path::PathBuf};

use annalist_core::Backup;
use annalist_store::BackupOptions;
use clap::Args;
use serde_json::{Value, json};

use crate::{
    failure::{Done, Failure},
    output::Output,
    place::{Opened, Place},
};

/// Makes a backup of the store: all of it the first time, afterwards what is new
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// The folder of the backups of this store; on another disk, if it is to help when this one fails. A server was told its
    /// own when it was started.
    backups: Option<PathBuf>,
    /// Remove all but the newest so many backups when the new one is whole; it counts.
    #[arg(long)]
    keep: Option<NonZeroU32>,
}

pub(crate) async fn run(arguments: Arguments, output: &mut Output) -> Result<Done, Failure> {
    let usage = |why: &str| Err(Failure::Usage(why.to_owned()));
    let (backups, server) = (arguments.backups, arguments.place.folder().is_none());
    let folder = match (backups, server) {
        (Some(_), true) => return usage("a server has its own folder for backups (--backups, when it is started)"),
        (None, false) => return usage("name the folder of the backups"),
        (folder, _) => folder.unwrap_or_default(),
    };
    let store = arguments.place.open().await?;
    let bar = Output::bar("copying");
    let backup = match &store {
        Opened::Folder(store) => {
            let mut options = BackupOptions::default();
            options.keep = arguments.keep.and_then(|keep| keep.try_into().ok());
            store.backup(folder, options, move |progress| bar.show(progress)).await?
        }
        Opened::Followed(_) => return usage("a store that is open elsewhere is backed up there"),
        Opened::Server(server) => {
            let keep = arguments.keep.map(NonZeroU32::get);
            server.backup(keep, |progress| bar.show(progress)).await?
        }
    };
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
    let Backup { number, time, head, files, bytes, added_bytes } = backup;
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
