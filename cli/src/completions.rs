//! `annalist completions`: what a shell needs to complete command lines.

use std::io;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::failure::{Done, Failure};

/// Prints the completions of a shell: `annalist completions bash > /etc/bash_completion.d/annalist`
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The shell.
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Done, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut crate::Arguments::command(), "annalist", &mut script);
    io::Write::write_all(&mut io::stdout(), &script).map_err(Failure::Output)?;
    Ok(Done::Well)
}
