//! `annalist read`: events of the log, of a stream or of a query.

use annalist_core::{Position, Read, Version};
use clap::Args;

use crate::{
    events::{self, Which},
    failure::{Done, Failure},
    output::Output,
    place::Place,
};

/// Prints events: with `--json` as CloudEvents, one for each line
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    which: Which,
    /// Begin behind this position; behind this version if one stream is read, whatever its events.
    #[arg(long)]
    after: Option<u64>,
    /// Newest first, from before `--after` or from the end.
    #[arg(long)]
    backward: bool,
    /// At most this many.
    #[arg(long, default_value_t = u64::MAX, hide_default_value = true)]
    limit: u64,
}

pub(crate) async fn run(arguments: &Arguments, output: &mut Output) -> Result<Done, Failure> {
    let (which, bound) = (&arguments.which, arguments.after);
    let read = match (which.stream_alone()?, arguments.backward) {
        (Some(stream), false) => Read::stream(stream, bound.map_or(Version::ZERO, Version::new)),
        (Some(stream), true) => Read::stream_backward(stream, bound.map_or(Version::MAX, Version::new)),
        (None, false) => Read::query(which.query()?, bound.map_or(Position::ZERO, Position::new)),
        (None, true) => Read::query_backward(which.query()?, bound.map_or(Position::MAX, Position::new)),
    };
    let store = arguments.place.open_to_read().await?;
    let batches = store.read(read.limit(arguments.limit)).await?;
    events::print_all(batches, output).await?;
    store.close().await?;
    Ok(Done::Well)
}
