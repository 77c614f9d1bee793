//! `annalist`: looks after a store of events, in a folder or behind a server.
//!
//! One file for each subcommand. People get tables, programs get JSON with `--json`: one object, or one for each line. What is
//! asked for goes to the standard output, everything else to the standard error.

mod address;
mod failure;
mod output;
mod place;

mod cloud_events;
mod events;

mod append;
mod backup;
mod backups;
mod bench;
mod completions;
mod config;
mod export;
mod groups;
mod import;
mod man;
mod query;
mod read;
mod rebuild_index;
mod restore;
mod serve;
mod stats;
mod streams;
mod tail;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::{Done, Failure};
use output::Output;

/// Allocates for RocksDB too (docs/adr/0073).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What the exit codes mean, as `--help` says it.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed for another reason than these
  2  the command line is wrong, or asks for what there is not
  3  there is no store that this program can open, or no backup
  4  the store or the folder of backups is in use
  5  something is damaged
  6  an event cannot be imported as it is
  7  an append does not fit what is recorded by now";

#[derive(Parser, Debug)]
#[command(name = "annalist", version, about = "Looks after a store of events, in a folder or behind a server", after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// Print JSON instead of tables.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Stats(stats::Arguments),
    Streams(streams::Arguments),
    Read(read::Arguments),
    Query(query::Arguments),
    Tail(tail::Arguments),
    Append(append::Arguments),
    Verify(verify::Arguments),
    RebuildIndex(rebuild_index::Arguments),
    Backup(backup::Arguments),
    Backups(backups::Arguments),
    Restore(restore::Arguments),
    Export(export::Arguments),
    Import(import::Arguments),
    Serve(annalist_server::Arguments),
    Config(config::Arguments),
    Groups(groups::Arguments),
    Bench(bench::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}

fn main() -> ExitCode {
    let Arguments { json, command } = Arguments::parse();
    let mut output = Output::new(json);
    let done = match annalist_server::runtime() {
        Ok(runtime) => runtime.block_on(run(command, &mut output)),
        Err(error) => Err(Failure::Other(error.to_string())),
    };
    let done = done.and_then(|done| output.flush().map(|()| done));
    match done {
        Ok(done) => done.exit_code(),
        // Who reads has had enough, as in `annalist read DIR | head`.
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            output.complain(&failure);
            failure.exit_code()
        }
    }
}

async fn run(command: Command, output: &mut Output) -> Result<Done, Failure> {
    match command {
        Command::Stats(arguments) => stats::run(&arguments, output).await,
        Command::Streams(arguments) => streams::run(&arguments, output).await,
        Command::Read(arguments) => read::run(&arguments, output).await,
        Command::Query(arguments) => query::run(arguments, output).await,
        Command::Tail(arguments) => tail::run(&arguments, output).await,
        Command::Append(arguments) => append::run(arguments, output).await,
        Command::Verify(arguments) => verify::run(&arguments, output).await,
        Command::RebuildIndex(arguments) => rebuild_index::run(arguments, output).await,
        Command::Backup(arguments) => backup::run(arguments, output).await,
        Command::Backups(arguments) => backups::run(arguments, output).await,
        Command::Restore(arguments) => restore::run(arguments, output).await,
        Command::Export(arguments) => export::run(&arguments, output).await,
        Command::Import(arguments) => import::run(arguments, output).await,
        Command::Serve(arguments) => serve::run(arguments).await,
        Command::Config(arguments) => config::run(&arguments, output),
        Command::Groups(arguments) => groups::run(&arguments, output).await,
        Command::Bench(arguments) => bench::run(arguments, output).await,
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => man::run(&arguments),
    }
}
