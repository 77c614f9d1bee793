//! `annalist tail`: the newest events.

use annalist_core::EventStore as _;
use clap::Args;

use crate::{
    events::{self, Which},
    failure::{Done, Failure},
    output::Output,
    place::Place,
};

/// Prints the newest events, the last one last
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    which: Which,
    /// How many.
    #[arg(long, short = 'n', default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    count: u64,
}

pub(crate) async fn run(arguments: &Arguments, output: &mut Output) -> Result<Done, Failure> {
    let store = arguments.place.open().await?;
    let head = store.head().await?;
    let events = arguments.which.last(&store, arguments.count).await?;
    events::print(&events, head.store, output)?;
    store.close().await?;
    Ok(Done::Well)
}
