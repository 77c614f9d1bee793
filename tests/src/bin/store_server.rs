//! The server's command, as a program of this package: tests start programs of their own package only.

use annalist_server::{Arguments, runtime, serve};
use clap::Parser;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    Ok(runtime()?.block_on(serve(Command::parse().arguments))?)
}
