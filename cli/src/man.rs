//! `annalist man`: the manual pages.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _};

use crate::failure::{Done, Failure};

/// Writes the manual pages into a folder: `annalist man /usr/local/share/man/man1`
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The folder, which must be there.
    folder: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Done, Failure> {
    let written = clap_mangen::generate_to(crate::Arguments::command(), &arguments.folder);
    let folder = arguments.folder.display();
    written.map_err(|error| Failure::Other(format!("cannot write the manual into {folder}: {error}")))?;
    Ok(Done::Well)
}
