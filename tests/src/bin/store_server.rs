//! The server's command, as a program of this package: tests start programs of their own package only.

use std::{io, process, thread};

use annalist_server::{Arguments, runtime, serve};
use clap::Parser;

/// That of the server's own programs.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    arguments: Arguments,
    /// End when standard input does: that is when whoever started this is gone, in whichever way
    #[arg(long)]
    until_input_ends: bool,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Command { arguments, until_input_ends } = Command::parse();
    if until_input_ends {
        thread::spawn(end_with_input);
    }
    Ok(runtime()?.block_on(serve(arguments))?)
}

fn end_with_input() {
    _ = io::copy(&mut io::stdin(), &mut io::sink());
    _ = process::Command::new("kill").args(["-TERM", &process::id().to_string()]).status();
}
