//! The server's command, as a program of this package: tests start programs of their own package only.

use annalist_server::{Arguments, runtime, serve};
use clap::Parser;

/// That of the server's own programs.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    Ok(runtime()?.block_on(serve(Command::parse().arguments))?)
}
