//! The raw disk: one write and one `fdatasync` for each event, and nothing else.

use std::{path::Path, time::Duration};

use benches::{Failure, measure_disk};

use crate::figures::Figures;

/// About one small commit.
const BYTES: usize = 400;

/// Writes and syncs for so long; `overwrite` within a file whose blocks were written before, otherwise extending one.
pub(crate) fn measure(folder: &Path, overwrite: bool, duration: Duration) -> Result<Figures, Failure> {
    let disk = measure_disk(folder, BYTES, overwrite, duration)?;
    Ok(Figures::of(&disk.latency_us, disk.syncs_per_second))
}
