//! `annalist tail`: the newest events, and those that come.

use annalist_core::Delivery;
use clap::Args;

use crate::{
    events::{self, Which},
    failure::{Done, Failure},
    output::Output,
    place::Place,
};

/// Prints the newest events, the last one last; with `--follow` those that come, too
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    which: Which,
    /// How many.
    #[arg(long, short = 'n', default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    count: u64,
    /// Go on with what is recorded from now on, in a folder by the process that has it open.
    #[arg(long, short)]
    follow: bool,
}

pub(crate) async fn run(arguments: &Arguments, output: &mut Output) -> Result<Done, Failure> {
    let place = &arguments.place;
    let store = if arguments.follow { place.open_to_follow().await? } else { place.open_to_read().await? };
    let (events, head) = arguments.which.last(&*store, arguments.count).await?;
    events::print(&events, head.store, output)?;
    if !arguments.follow {
        store.close().await?;
        return Ok(Done::Well);
    }
    let mut subscription = store.subscribe(arguments.which.query()?, head).await?;
    loop {
        output.flush()?;
        if let Delivery::Events(events) = subscription.next().await? {
            events::print(&events, head.store, output)?;
        }
    }
}
