//! `annalist backup`: copies the log into a folder of backups.

use std::{num::NonZeroU32, path::PathBuf};

use annalist_client::BackupMade;
use annalist_core::{Cursor, Timestamp};
use annalist_store::{Backup, BackupOptions, Progress};
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

/// A backup, wherever it was made.
pub(crate) struct Made {
    pub(crate) number: u64,
    pub(crate) time: Timestamp,
    pub(crate) head: Cursor,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) added_bytes: u64,
}

impl From<Backup> for Made {
    fn from(backup: Backup) -> Self {
        let Backup { number, time, head, files, bytes, added_bytes, .. } = backup;
        Self { number, time, head, files: files as u64, bytes, added_bytes }
    }
}

impl From<BackupMade> for Made {
    fn from(backup: BackupMade) -> Self {
        let BackupMade { number, time, head, files, bytes, added_bytes, .. } = backup;
        Self { number, time, head, files, bytes, added_bytes }
    }
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
    let backup: Made = match &store {
        Opened::Folder(store) => {
            let mut options = BackupOptions::default();
            options.keep = arguments.keep.and_then(|keep| keep.try_into().ok());
            store.backup(folder, options, move |progress| bar.show(progress)).await?.into()
        }
        Opened::Server(server) => {
            let keep = arguments.keep.map(NonZeroU32::get);
            server.backup(keep, |(done, total)| bar.show(Progress { done, total })).await?.into()
        }
    };
    store.close().await?;
    if output.json {
        output.value(&backup.json())?;
    } else {
        let Made { number, head, files, bytes, added_bytes, .. } = &backup;
        let position = head.position;
        output.line(&format!(
            "backup {number} holds positions 1 to {position}: {bytes} bytes in {files} files, {added_bytes} of them new"
        ))?;
    }
    Ok(Done::Well)
}

impl Made {
    /// What is known of it.
    pub(crate) fn json(&self) -> Value {
        let Self { number, time, head, files, bytes, added_bytes } = self;
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
}
