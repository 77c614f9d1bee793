//! Memory: how much a process used, how much it may use, and emptying the page cache.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process,
};

use benches::Failure;
use rustix::fs::{Advice, fadvise};

/// The most memory that a process has had at once, what it maps of files included, in MiB.
pub(crate) fn peak_mib(process: u32) -> f64 {
    status_mib(process, "VmHWM:")
}

/// The memory that a process has now and that is nothing but its own, no part of a file, in MiB.
pub(crate) fn own_mib(process: u32) -> f64 {
    status_mib(process, "RssAnon:")
}

fn status_mib(process: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}

/// What the files below a folder occupy on the disk, in bytes.
pub(crate) fn disk_bytes(folder: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let sizes = files(folder)?.into_iter().map(|file| Ok(fs::metadata(file)?.blocks() * 512));
    sizes.sum()
}

/// Writes the files below a folder to the disk and drops them from the page cache.
pub(crate) fn forget(folder: &Path) -> Result<(), Failure> {
    for path in files(folder)? {
        let file = File::open(path)?;
        file.sync_all()?;
        fadvise(&file, 0, None, Advice::DontNeed)?;
    }
    Ok(())
}

/// Reads the files below a folder, so that the page cache has them.
pub(crate) fn warm(folder: &Path) -> Result<(), Failure> {
    for path in files(folder)? {
        io::copy(&mut File::open(path)?, &mut io::sink())?;
    }
    Ok(())
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    Ok(found)
}

/// A group of processes that may use only so much memory, the page cache of what they read included; removed when dropped,
/// after its processes have ended.
#[derive(Debug)]
pub(crate) struct Group(PathBuf);

impl Group {
    /// A group below the one that this process is in.
    ///
    /// # Errors
    /// When the system has no such groups, or this user may not make one.
    pub(crate) fn new(limit_bytes: u64) -> Result<Self, Failure> {
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let of = |controllers: &str| {
            own.lines().find_map(|line| {
                let mut parts = line.splitn(3, ':').skip(1);
                (parts.next() == Some(controllers))
                    .then(|| parts.next().map(|path| path.trim_start_matches('/').to_owned()))?
            })
        };
        let (parent, limit) = match (of("memory"), of("")) {
            (Some(path), _) => (Path::new("/sys/fs/cgroup/memory").join(path), "memory.limit_in_bytes"),
            (None, Some(path)) => (Path::new("/sys/fs/cgroup").join(path), "memory.max"),
            (None, None) => return Err("no groups that limit memory".into()),
        };
        let group = Self(parent.join(format!("annalist-peers-{}", process::id())));
        fs::create_dir(&group.0)?;
        fs::write(group.0.join(limit), limit_bytes.to_string())?;
        Ok(group)
    }

    /// Where it is, for [`join`].
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A group that cannot be removed is empty and harmless.
        let _ = fs::remove_dir(&self.0);
    }
}

/// Moves this process into a group.
pub(crate) fn join(group: &Path) -> io::Result<()> {
    fs::write(group.join("cgroup.procs"), process::id().to_string())
}
