//! Where the figures were measured.

use std::{fs, path::Path, thread, time::Duration};

use crate::Failure;

/// One line: processor, cores, memory, kernel, and the file system that the folder is on.
#[must_use]
pub fn describe_machine(folder: &Path) -> String {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':')).map_or_else(|| "?".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let memory_kib: u64 = field(&read("/proc/meminfo"), "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0);
    format!(
        "{}, {cores} cores, {} GiB, Linux {}, {}",
        field(&read("/proc/cpuinfo"), "model name"),
        memory_kib.div_ceil(1024 * 1024),
        read("/proc/sys/kernel/osrelease").trim(),
        file_system(&read("/proc/mounts"), folder),
    )
}

/// The processor time that this process has used, within a hundredth of a second.
///
/// # Errors
/// When the system does not tell.
pub fn processor_time() -> Result<Duration, Failure> {
    // Clock ticks are hundredths of a second on every Linux (proc_pid_stat(5), sysconf(3)).
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name of the program, in brackets, may hold anything.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    // The 14th and 15th of all fields: 11 and 12 of those behind the name.
    let ticks = fields.skip(11).take(2).map(str::parse::<f64>).sum::<Result<f64, _>>()?;
    Ok(Duration::from_secs_f64(ticks / TICKS_PER_SECOND))
}

/// The type and device of the longest mount point above the folder.
fn file_system(mounts: &str, folder: &Path) -> String {
    let mount = |line: &str| {
        let mut words = line.split(' ');
        let (device, point, kind) = (words.next()?, words.next()?, words.next()?);
        folder.starts_with(point).then(|| (point.len(), format!("{kind} on {device}")))
    };
    mounts.lines().filter_map(mount).max_by_key(|(len, _)| *len).map_or_else(|| "?".to_owned(), |(_, text)| text)
}

#[cfg(test)]
mod tests;
