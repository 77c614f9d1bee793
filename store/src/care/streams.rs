//! The streams that there are.

use std::{collections::BTreeSet, sync::Arc};

use annalist_core::{Position, SYSTEM_STREAM, StoreError, StreamId, Version, category};

use crate::{
    format::Damage,
    rocks::{ReadError, Tier},
    shared::{Shared, blocking},
};

/// The streams of the store, or of one category, by name, and their last versions: at most `limit` behind `after`.
pub(crate) async fn streams(
    shared: &Arc<Shared>,
    within: Option<&str>,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<(StreamId, Version)>, StoreError> {
    let shared = Arc::clone(shared);
    let (within, after) = (within.map(str::to_owned), after.unwrap_or_default().to_owned());
    blocking(move || {
        let is_wanted =
            |name: &str| name > after.as_str() && within.as_deref().is_none_or(|within| category(name) == within);
        let (seen, view) = shared.durable_view();
        let begin = within.as_deref().unwrap_or_default().max(after.as_str());
        let mut names = BTreeSet::new();
        view.for_each_stream(|name| _ = is_wanted(name) && names.insert(name.to_owned()));
        let mut on_disk = 0;
        shared.index.stream_names(begin, |name| {
            if is_wanted(name) {
                on_disk += 1;
                names.insert(name.to_owned());
            }
            on_disk < limit && within.as_deref().is_none_or(|within| name.starts_with(within))
        })?;
        let heads = names.iter().map(|name| {
            let stream = if name == SYSTEM_STREAM { Ok(StreamId::system()) } else { StreamId::new(name.as_str()) };
            let detail = "a name in the index is malformed; delete the index folder";
            let stream = stream.map_err(|_| Damage { position: Position::ZERO, detail })?;
            Ok((stream, view.head(&shared.index, name, seen, Tier::Disk)?))
        });
        let is_durable = |found: &Result<_, ReadError>| !matches!(found, Ok((_, Version::ZERO)));
        heads.filter(is_durable).take(limit).collect()
    })
    .await
}
