//! `annalist backups`: the backups in a folder, and whether they are as they were written.

use std::path::PathBuf;

use annalist_core::{Backup, DamagedFile};
use annalist_store::Backups;
use clap::Args;
use serde_json::{Value, json};

use crate::{
    address::Connection,
    backup,
    failure::{Done, Failure},
    output::Output,
    place,
};

/// Lists the backups in a folder, or of a server, oldest first
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The folder of the backups, or the address of a server (`http://host:port`), for those in its folder.
    backups: PathBuf,
    #[command(flatten)]
    connection: Connection,
    /// Read all their files, and compare them with their checksums.
    #[arg(long)]
    verify: bool,
}

/// A backup, and what is damaged of it.
type Listed = (Option<Backup>, Vec<DamagedFile>);

pub(crate) async fn run(arguments: Arguments, output: &mut Output) -> Result<Done, Failure> {
    let Arguments { backups, connection, verify } = arguments;
    let listed = match place::address(&backups) {
        Some(address) if verify => {
            return Err(Failure::Usage(format!("{address} is a server; verify the backups where they are")));
        }
        Some(address) => {
            let (backups, damaged) = connection.to(address)?.backups().await?;
            let backups = backups.into_iter().map(|backup| (Some(backup), Vec::new()));
            backups.chain(damaged.into_iter().map(|damaged| (None, vec![damaged]))).collect()
        }
        None => {
            let listed = tokio::task::spawn_blocking(move || list(&Backups::of(backups), verify));
            listed.await.map_err(|error| Failure::Other(format!("looking at the backups broke off: {error}")))??
        }
    };
    if output.json {
        for (backup, damaged) in &listed {
            let damaged: Vec<Value> =
                damaged.iter().map(|file| json!({ "path": file.path, "detail": file.detail })).collect();
            let backup = backup.as_ref().map(backup::json);
            output.value(&json!({ "backup": backup, "read": verify, "damaged": damaged }))?;
        }
    } else {
        let rows = listed.iter().filter_map(|(backup, damaged)| Some((backup.as_ref()?, damaged)));
        let rows = rows.map(|(backup, damaged)| {
            let state = match (damaged.is_empty(), verify) {
                (false, _) => "damaged",
                (true, true) => "sound",
                (true, false) => "not read",
            };
            let Backup { number, time, head, bytes, added_bytes, .. } = backup;
            let numbers = [number, &u64::from(head.epoch.get()), &head.position.get(), bytes, added_bytes];
            let [number, epoch, position, bytes, added] = numbers.map(ToString::to_string);
            [number, time.to_string(), epoch, position, bytes, added, state.to_owned()]
        });
        output.table(["number", "time", "epoch", "position", "bytes", "new bytes", "state"], rows)?;
        for file in listed.iter().flat_map(|(_, damaged)| damaged) {
            output.line(&format!("damaged: {file}"))?;
        }
    }
    let is_sound = listed.iter().all(|(_, damaged)| damaged.is_empty());
    Ok(if is_sound { Done::Well } else { Done::FoundDamage })
}

fn list(backups: &Backups, verify: bool) -> Result<Vec<Listed>, Failure> {
    let listed = backups.list()?;
    let each = listed.into_iter().map(|backup| match backup {
        Err(damaged) => Ok((None, vec![damaged])),
        Ok(backup) if verify => {
            let bar = Output::bar("reading");
            let damaged = backups.verify(Some(backup.number), |progress| bar.show(progress))?;
            Ok((Some(backup), damaged))
        }
        Ok(backup) => Ok((Some(backup), Vec::new())),
    });
    each.collect()
}
