//! `annalist streams`: the streams and their last versions.

use clap::Args;
use serde_json::json;

use crate::{
    failure::{Done, Failure},
    output::Output,
    place::Place,
};

/// Streams that are asked for and printed at once.
const STREAMS_AT_ONCE: usize = 1000;

/// The streams by name, and their last versions
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Only those of this category.
    #[arg(long)]
    category: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = usize::MAX, hide_default_value = true)]
    limit: usize,
}

pub(crate) async fn run(arguments: &Arguments, output: &mut Output) -> Result<Done, Failure> {
    let store = arguments.place.open_to_read().await?;
    let (mut left, mut after) = (arguments.limit, None::<String>);
    loop {
        let limit = left.min(STREAMS_AT_ONCE);
        let streams = store.streams(arguments.category.as_deref(), after.as_deref(), limit).await?;
        left -= streams.len();
        if output.json {
            for (name, version) in &streams {
                output.value(&json!({ "stream": name.as_str(), "version": version.get() }))?;
            }
        } else if !streams.is_empty() || after.is_none() {
            let rows = streams.iter().map(|(name, version)| [name.as_str().to_owned(), version.to_string()]);
            output.table(["stream", "version"], rows)?;
        }
        if streams.len() < limit || left == 0 {
            break;
        }
        after = streams.last().map(|(name, _)| name.as_str().to_owned());
    }
    store.close().await?;
    Ok(Done::Well)
}
