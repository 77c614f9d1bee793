//! `annalist-server`: a store as a server. Without arguments it listens on loopback and stores in `./data`.

use std::{io::Write as _, process::ExitCode};

use annalist_server::{Arguments, Role, new_key, runtime, serve};
use clap::{Parser, Subcommand};

/// Allocates for RocksDB too (docs/adr/0073).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Parser, Debug)]
#[command(version, about = "A store of events as a server")]
struct Command {
    #[command(flatten)]
    arguments: Arguments,
    #[command(subcommand)]
    order: Option<Order>,
}

#[derive(Subcommand, Debug)]
enum Order {
    /// Makes a key: prints it, and on standard error the line for the server's file of keys
    NewKey {
        /// What its bearer may do
        role: Role,
        /// Whose it is, in one word
        name: String,
        /// The categories that it is good for, `order=append` or `payment=read`; without any, all
        #[arg(value_name = "CATEGORY=RIGHT")]
        categories: Vec<String>,
    },
}

fn main() -> ExitCode {
    let command = Command::parse();
    let done = match command.order {
        None => run(command.arguments),
        Some(Order::NewKey { role, name, categories }) => {
            make_key(role, &name, &categories).map_err(|error| error.to_string())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), String> {
    let runtime = runtime().map_err(|error| error.to_string())?;
    runtime.block_on(serve(arguments)).map_err(|error| error.to_string())
}

fn make_key(role: Role, name: &str, categories: &[String]) -> std::io::Result<()> {
    let (key, line) = new_key(role, name, categories)?;
    writeln!(std::io::stdout(), "{key}")?;
    writeln!(std::io::stderr(), "{line}")
}
