//! What the disk can do by itself: the yardstick beside which the store's figures are read.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use crate::{Failure, Random};

const FILE_BYTES: u64 = 64 * 1024 * 1024;

/// A loop of one write and one `fdatasync`.
#[derive(Debug)]
pub struct DiskFigures {
    /// Rounds per second.
    pub syncs_per_second: f64,
    /// Time of one round, in microseconds.
    pub latency_us: Histogram<u64>,
}

/// Writes `bytes` at a time, one behind the other, each followed by `fdatasync`. `overwrite` does so within a file whose
/// blocks were written before, as a recycled log file; otherwise each write extends the file, as a new one.
///
/// # Errors
/// What the system says.
pub fn measure_disk(folder: &Path, bytes: usize, overwrite: bool, duration: Duration) -> Result<DiskFigures, Failure> {
    let path = folder.join("disk");
    let file = File::create(&path)?;
    if overwrite {
        fill(&file)?;
    }
    let mut random = Random::new(1);
    let block: Vec<u8> = (0..bytes.div_ceil(8)).flat_map(|_| random.next().to_le_bytes()).take(bytes).collect();
    let step = u64::try_from(bytes)?;
    let mut latency_us = Histogram::new_with_max(60_000_000, 3)?;
    let mut offset = 0;
    let begin = Instant::now();
    while begin.elapsed() < duration {
        let called = Instant::now();
        file.write_all_at(&block, offset)?;
        file.sync_data()?;
        latency_us.saturating_record(u64::try_from(called.elapsed().as_micros())?);
        offset += step;
        if overwrite && offset + step > FILE_BYTES {
            offset = 0;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let syncs_per_second = latency_us.len() as f64 / begin.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    Ok(DiskFigures { syncs_per_second, latency_us })
}

fn fill(file: &File) -> io::Result<()> {
    let zeros = vec![0; 1024 * 1024];
    let mut offset = 0;
    while offset < FILE_BYTES {
        file.write_all_at(&zeros, offset)?;
        offset += 1024 * 1024;
    }
    file.sync_all()
}
