//! `annalist stats`: what the store holds and what that costs.

use clap::Args;
use serde_json::json;

use crate::{
    failure::{Done, Failure},
    output::Output,
    place::Place,
};

/// What the store holds and what that costs
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
}

pub(crate) async fn run(arguments: &Arguments, output: &mut Output) -> Result<Done, Failure> {
    let store = arguments.place.open_to_read().await?;
    let statistics = store.statistics().await?;
    let (id, epoch) = (statistics.head.store.to_string(), statistics.head.epoch.get());
    if output.json {
        output.value(&json!({
            "store": id,
            "epoch": epoch,
            "head": statistics.head.position.get(),
            "events": statistics.events(),
            "streams": statistics.streams,
            "event_bytes": statistics.event_bytes,
            "log_bytes": statistics.log_bytes,
            "index_bytes": statistics.index_bytes,
            "indexed": statistics.indexed.get(),
        }))?;
    } else {
        let amplification = statistics.amplification().map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        output.table(
            ["what", "value"],
            [
                ["store".to_owned(), id],
                ["epoch".to_owned(), epoch.to_string()],
                ["events".to_owned(), statistics.events().to_string()],
                ["streams".to_owned(), statistics.streams.to_string()],
                ["bytes of events".to_owned(), statistics.event_bytes.to_string()],
                ["bytes of the log on disk".to_owned(), statistics.log_bytes.to_string()],
                ["bytes of the index on disk".to_owned(), statistics.index_bytes.to_string()],
                ["bytes on disk per byte of events".to_owned(), amplification],
                ["indexed on disk up to position".to_owned(), statistics.indexed.get().to_string()],
            ],
        )?;
    }
    store.close().await?;
    Ok(Done::Well)
}
