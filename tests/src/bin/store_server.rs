//! The server's command, as a program of this package: tests start programs of their own package only.

use annalist_server::{Arguments, ServerError, serve};
use clap::Parser;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    arguments: Arguments,
}

#[tokio::main]
async fn main() -> Result<(), ServerError> {
    serve(Command::parse().arguments).await
}
