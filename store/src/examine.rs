//! What is damaged in the folder of a store that does not open, and what can still be read. Nothing in it is changed: RocksDB looks at
//! links in a folder of their own.

#[cfg(test)]
mod tests;

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use annalist_core::Position;

use crate::{
    error::OpenError,
    format::StoreFile,
    limits,
    options::StoreOptions,
    rocks::{LogDb, table_number},
    store::Store,
    wal::{self, Files},
};

/// A file of a store that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFinding {
    /// Which file, in the store's folder.
    pub file: PathBuf,
    /// The first position concerned; zero if it is not known, or none is.
    pub position: Position,
    /// What is wrong, with the place in the file if that is known, and what to do if that is not to restore a backup.
    pub detail: String,
}

/// What was found in the folder of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examined {
    /// What is wrong, file by file, at most a thousand.
    pub findings: Vec<FileFinding>,
    /// The positions that can be read, from the first to the last of each stretch: their pages are whole.
    pub readable: Vec<(Position, Position)>,
}

impl Store {
    /// Looks for damage in the folder of a store that is not open and does not open, and finds out which positions can still be
    /// read. Changes nothing in it. It reads the whole log.
    ///
    /// # Errors
    /// [`OpenError::Locked`] when somebody has the store open; [`OpenError::Io`] when the folder cannot be looked at.
    pub fn examine(dir: impl AsRef<Path>, options: &StoreOptions) -> Result<Examined, OpenError> {
        let dir = dir.as_ref();
        let _lock = lock(dir)?;
        let mut examined = Examined::default();
        examined.store_file(dir);
        examined.index(dir);
        examined.log(&dir.join("log"), options).map_err(OpenError::io("examine", dir.join("log")))?;
        Ok(examined)
    }
}

impl Examined {
    fn add(&mut self, file: impl Into<PathBuf>, position: Position, detail: impl Into<String>) {
        let (file, detail) = (file.into(), detail.into());
        // What is wrong with a table as a whole is met more than once.
        let is_known = self.findings.iter().any(|known| known.file == file && known.detail == detail);
        if !is_known && self.findings.len() < limits::FINDINGS_MAX {
            self.findings.push(FileFinding { file, position, detail });
        }
    }

    fn store_file(&mut self, dir: &Path) {
        let read = fs::read(dir.join("STORE")).map_err(|error| error.to_string());
        let text = read.and_then(|bytes| String::from_utf8(bytes).map_err(|_| "it is not text".to_owned()));
        if let Err(detail) = text.and_then(|text| StoreFile::decode(&text)) {
            self.add(
                "STORE",
                Position::ZERO,
                format!("{detail}; it says which store this is, and a backup has it too"),
            );
        }
    }

    /// What keeps RocksDB from opening the index; everything else is found when the store is open, or mended by itself.
    fn index(&mut self, dir: &Path) {
        let manifest = Manifest::find(&dir.join("index"));
        let way_out = "nothing is lost: delete the folder `index`, it is made anew";
        match manifest {
            Ok(None) => {}
            Ok(Some(Manifest { current: None, .. })) => {
                self.add("index/CURRENT", Position::ZERO, format!("it names no MANIFEST that is there; {way_out}"));
            }
            Ok(Some(Manifest { name, gap: Some(at), .. })) => {
                let detail = format!("it cannot be read from byte {at} on; {way_out}");
                self.add(Path::new("index").join(name), Position::ZERO, detail);
            }
            Ok(Some(_)) => {}
            Err(error) => self.add("index", Position::ZERO, format!("{error}; {way_out}")),
        }
    }

    fn log(&mut self, dir: &Path, options: &StoreOptions) -> io::Result<()> {
        let Some(manifest) = Manifest::find(dir)? else {
            let detail = "there is no MANIFEST: nothing says which of its tables are the log";
            self.add("log", Position::ZERO, detail);
            return Ok(());
        };
        if manifest.current.is_none() {
            self.add("log/CURRENT", Position::ZERO, format!("it does not name {}", manifest.name));
        }
        if let Some(at) = manifest.gap {
            let detail = format!(
                "it cannot be read from byte {at} on: which tables were made since, and are the end of the log, is not known"
            );
            self.add(Path::new("log").join(&manifest.name), Position::ZERO, detail);
        }
        let scan = Files::open(dir)?.scan()?;
        let looked = Links::of(dir, &manifest, scan.stalls.is_none())?;
        match LogDb::open_anyway(&looked.0, options) {
            Ok(log) => self.pages(&log, &looked),
            Err(error) => {
                let detail = looked.without_path(error.as_ref());
                self.add(file_in(&detail), Position::ZERO, format!("RocksDB cannot read the log: {detail}"));
            }
        }
        let end = self.readable.last().map_or(Position::ZERO, |(_, last)| *last);
        let place = scan.stalls.as_ref().or(scan.doubt.as_ref().filter(|_| end < scan.synced));
        if let Some(place) = place {
            let file = format!("log/{:06}.log", place.file);
            let detail = format!(
                "it cannot be read from byte {} on, and events up to position {} had been synced",
                place.offset,
                scan.synced.max(scan.last)
            );
            self.add(file, end.next(), detail);
        } else if end < scan.synced && self.findings.is_empty() {
            let detail = format!("it ends before events that were durable, up to position {}", scan.synced);
            self.add("log", end.next(), detail);
        }
        Ok(())
    }

    /// Reads every page that the tables and the write-ahead log have.
    fn pages(&mut self, log: &LogDb, looked: &Links) {
        let table = |position| log.table_with(position).map_or_else(|| PathBuf::from("log"), |name| in_log(&name));
        log.visit_pages(Position::new(1), |found| {
            let wrong = match found {
                Ok(page) => match page.require_sound() {
                    Ok(()) => {
                        self.sound(page.first(), page.last());
                        return true;
                    }
                    Err(damage) => (page.first(), damage.detail.to_owned(), table(page.first())),
                },
                Err((position, error)) => {
                    let detail = looked.without_path(&error.to_string());
                    let named = file_in(&detail);
                    let file = if named == Path::new("log") { table(position) } else { named };
                    (position, detail, file)
                }
            };
            let (position, detail, file) = wrong;
            self.add(file, position, detail);
            self.findings.len() < limits::FINDINGS_MAX
        });
    }

    /// A page can be read.
    fn sound(&mut self, first: Position, last: Position) {
        let end = self.readable.last().map_or(Position::ZERO, |(_, end)| *end);
        match self.readable.last_mut() {
            Some((_, end)) if end.next() == first => *end = last,
            _ => {
                if first > end.next() && self.findings.is_empty() {
                    let detail = format!("positions {} to {} are missing", end.next(), first.previous());
                    self.add("log", end.next(), detail);
                }
                self.readable.push((first, last));
            }
        }
    }
}

/// The MANIFEST of a database.
struct Manifest {
    name: String,
    /// The name, if `CURRENT` says the same.
    current: Option<String>,
    bytes: Vec<u8>,
    /// From where on it cannot be read.
    gap: Option<usize>,
}

impl Manifest {
    /// The one that `CURRENT` names, or the newest one if it names none that is there.
    fn find(dir: &Path) -> io::Result<Option<Self>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let name = entry?.file_name().into_string().unwrap_or_default();
            names.extend(name.starts_with("MANIFEST-").then_some(name));
        }
        let current = fs::read_to_string(dir.join("CURRENT")).ok();
        let current =
            current.and_then(|text| Some(text.strip_suffix('\n')?.to_owned())).filter(|name| names.contains(name));
        let Some(name) = current.clone().or_else(|| names.into_iter().max()) else { return Ok(None) };
        let bytes = fs::read(dir.join(&name))?;
        let gap = wal::first_gap(&bytes)?;
        Ok(Some(Self { name, current, bytes, gap }))
    }
}

/// A folder of links to the files of a log, with what RocksDB needs besides; removed when dropped.
struct Links(PathBuf);

static LINKS: AtomicU64 = AtomicU64::new(0);

impl Links {
    fn of(dir: &Path, manifest: &Manifest, with_wal: bool) -> io::Result<Self> {
        let dir = fs::canonicalize(dir)?;
        let number = LINKS.fetch_add(1, Ordering::Relaxed);
        let links = std::env::temp_dir().join(format!("annalist-examine-{}-{number}", std::process::id()));
        fs::create_dir(&links)?;
        let links = Self(links);
        for entry in fs::read_dir(&dir)? {
            let name = entry?.file_name();
            let text = name.to_string_lossy();
            if table_number(&text).is_some() || (with_wal && text.ends_with(".log")) {
                symlink(dir.join(&name), links.0.join(&name))?;
            }
        }
        let readable = manifest.bytes.get(..manifest.gap.unwrap_or(manifest.bytes.len())).unwrap_or_default();
        fs::write(links.0.join(&manifest.name), readable)?;
        fs::write(links.0.join("CURRENT"), format!("{}\n", manifest.name))?;
        Ok(links)
    }

    /// What RocksDB says, with the names of files as they are in the folder of the store.
    fn without_path(&self, text: &str) -> String {
        let path = self.0.display().to_string();
        text.replace(&format!("{path}//"), "log/").replace(&format!("{path}/"), "log/").replace(&path, "log")
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, dir = %self.0.display(), "a folder of links is not removed");
        }
    }
}

fn in_log(name: &str) -> PathBuf {
    Path::new("log").join(name.trim_start_matches('/'))
}

/// The table that a message of RocksDB names, or the log.
fn file_in(text: &str) -> PathBuf {
    let mut words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || "./-_".contains(letter)));
    let named = words.find_map(|word| {
        let name = word.trim_end_matches('.').rsplit('/').next()?;
        let is_file = table_number(name).is_some() || name.ends_with(".log") || name.starts_with("MANIFEST-");
        is_file.then(|| in_log(name))
    });
    named.unwrap_or_else(|| PathBuf::from("log"))
}

/// Keeps others out, without writing who does.
fn lock(dir: &Path) -> Result<Option<File>, OpenError> {
    let path = dir.join("LOCK");
    let Ok(file) = File::open(&path) else { return Ok(None) };
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => {
            let holder = fs::read_to_string(&path).unwrap_or_default().trim().to_owned();
            let holder = if holder.is_empty() { "another process".to_owned() } else { holder };
            Err(OpenError::Locked { dir: dir.to_owned(), holder })
        }
        Err(TryLockError::Error(error)) => Err(OpenError::io("lock", path)(error)),
    }
}
