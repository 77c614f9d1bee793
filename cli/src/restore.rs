//! `annalist restore`: makes a store of a backup.

use std::path::PathBuf;

use annalist_core::Position;
use annalist_store::{Backups, RestoreOptions, RestoreStep, Restored};
use clap::Args;
use serde_json::json;

use crate::{
    failure::{Done, Failure},
    output::Output,
    place,
};

/// Makes a store of a backup, in a folder that is empty or not there
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The folder of the backups.
    #[arg(value_parser = place::folder())]
    backups: PathBuf,
    /// The folder of the new store.
    #[arg(value_parser = place::folder())]
    dir: PathBuf,
    /// Which backup; otherwise the newest.
    #[arg(long)]
    number: Option<u64>,
    /// Up to this position; a commit that reaches beyond it is left out whole. Otherwise to the end of the backup.
    #[arg(long, value_name = "POSITION")]
    to: Option<u64>,
}

pub(crate) async fn run(arguments: Arguments, output: &mut Output) -> Result<Done, Failure> {
    let restored = tokio::task::spawn_blocking(move || {
        let mut options = RestoreOptions::default();
        options.to = arguments.to.map(Position::new);
        let (copying, mut indexing) = (Output::bar("copying"), None);
        Backups::of(arguments.backups).restore(arguments.number, arguments.dir, options, |step| match step {
            RestoreStep::Copying(progress) => copying.show(progress),
            RestoreStep::Indexing(progress) => {
                indexing.get_or_insert_with(|| Output::bar("indexing")).show(progress);
            }
            _ => {}
        })
    });
    let restored = restored.await.map_err(|error| Failure::Other(format!("the restore broke off: {error}")))??;
    let Restored { head, backup, .. } = restored;
    if output.json {
        output.value(&json!({
            "store": head.store.to_string(),
            "epoch": head.epoch.get(),
            "position": head.position.get(),
            "backup_epoch": backup.epoch.get(),
            "backup_position": backup.position.get(),
        }))?;
    } else {
        output.line(&format!("restored positions 1 to {}, in the new epoch {}", head.position, head.epoch))?;
        output.line("views, sagas and relays that have seen no more than that go on; others say what to do")?;
    }
    Ok(Done::Well)
}
