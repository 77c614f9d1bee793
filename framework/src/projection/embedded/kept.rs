//! Instances beside the live one that are kept for later, and how another becomes the live one.

use std::ops::ControlFlow;

use annalist_core::{Direction, StoreError};

use super::{
    super::{
        key_value::{Batch, Rows, behind_prefix, read_rows},
        model::{Kept, Unfinished},
    },
    Embedded,
    cache::Cached,
    damaged, encode, instances, keys, live_number,
};

impl Embedded {
    pub(super) fn keep_now(&self, unfinished: Unfinished) -> Result<(), StoreError> {
        let note = encode_kept(Kept::Rebuild(unfinished))?;
        self.key_value.write(Batch::new().put(keys::kept(self.name, self.number), note))
    }

    pub(in crate::projection) fn kept_now(&self) -> Result<Vec<(Self, Kept)>, StoreError> {
        let (instances, kept) =
            read_rows(&*self.key_value, |rows| Ok((instances(rows, self.name)?, all_kept(rows, self.name)?)))?;
        let ours = |number: u32| instances.iter().any(|(other, row)| *other == number && row.version == self.version);
        let kept = kept.into_iter().filter(|(number, _)| ours(*number));
        let model = |number| Self { number, cached: Cached::default(), ..self.clone() };
        Ok(kept.map(|(number, why)| (model(number), why)).collect())
    }

    pub(in crate::projection) fn promote_now(&self, keep_previous: bool) -> Result<(), StoreError> {
        let (before, kept) =
            read_rows(&*self.key_value, |rows| Ok((live_number(rows, self.name)?, all_kept(rows, self.name)?)))?;
        if before == Some(self.number) {
            return Ok(());
        }
        let previous = kept.iter().filter(|(number, why)| *why == Kept::Previous && *number != self.number);
        let previous: Vec<u32> = previous.map(|(number, _)| *number).collect();
        let mut batch =
            Batch::new().put(keys::live(self.name), encode(&self.number)?).delete(keys::kept(self.name, self.number));
        for number in &previous {
            batch = batch.delete(keys::kept(self.name, *number));
        }
        if let Some(before) = before.filter(|_| keep_previous) {
            batch = batch.put(keys::kept(self.name, before), encode_kept(Kept::Previous)?);
        }
        self.key_value.write(batch)?;
        // Readers see this instance from here on. What follows is only tidying: opening does it again if need be.
        let gone = previous.into_iter().chain(before.filter(|_| !keep_previous));
        if let Err(error) = self.drop_instances(gone) {
            tracing::warn!(projection = self.name, %error, "the old instance is dropped when the view is next opened");
        }
        Ok(())
    }
}

/// The kept instances of all versions.
pub(super) fn all_kept(rows: &dyn Rows, name: &str) -> Result<Vec<(u32, Kept)>, StoreError> {
    let start = keys::all_kept(name);
    let end = behind_prefix(&start).unwrap_or_default();
    let (mut found, mut result) = (Vec::new(), Ok(()));
    rows.scan(&start..&end, Direction::Forward, &mut |key, note| {
        if let (Some(number), Ok(why)) = (keys::instance_number(key), serde_json::from_slice(note)) {
            found.push((number, why));
            return ControlFlow::Continue(());
        }
        result = Err(damaged("why an instance is kept"));
        ControlFlow::Break(())
    })?;
    result.map(|()| found)
}

fn encode_kept(why: Kept) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(&why).map_err(|error| damaged(&error.to_string()))
}
