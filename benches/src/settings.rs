//! What the caller asks for.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process,
    str::FromStr,
    time::Duration,
};

use crate::Failure;

const HELP: &str = "\
usage: cargo bench --package benches --bench <append|read|command> -- [ROW…] [--memory]

  ROW        measure only rows whose name contains one of these, for example 64x1 or replay
  --memory   measure the in-memory store instead: what the bench itself costs

  ANNALIST_BENCH_SECONDS   length of a row, in seconds; 10
  ANNALIST_BENCH_EVENTS    events of the log that `replay` and `rebuild` read; 2000000
  ANNALIST_BENCH_DIR       where the data goes, a folder on the disk to be measured; target/bench-data
  ANNALIST_BENCH_POSTGRES  address of a PostgreSQL server for `rebuild`, postgres://user@host/database, whose role may create
                           databases; none: left out
  ANNALIST_BENCH_OPTIONS   options of the store that differ from its defaults, as JSON; {}";

/// Names of folders of data begin with this and the id of the process.
const PREFIX: &str = "annalist-bench-";

/// What to measure, for how long, where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Length of a row.
    pub duration: Duration,
    /// Events of the log that is replayed.
    pub events: u64,
    /// Options of the store, as JSON.
    pub options: String,
    /// Address of a PostgreSQL server, if one is to be measured.
    pub postgres: Option<String>,
    /// Whether the in-memory store is measured instead of the real one.
    pub memory: bool,
    dir: PathBuf,
    rows: Vec<String>,
}

impl Settings {
    /// Reads the arguments and the environment; prints the usage and ends the process when asked to.
    ///
    /// # Errors
    /// When one of them makes no sense.
    #[expect(clippy::print_stdout, reason = "a bench talks to a person")]
    pub fn from_env() -> Result<Self, Failure> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench-data");
        let mut settings = Self {
            duration: Duration::from_secs(number("ANNALIST_BENCH_SECONDS", 10)?),
            events: number("ANNALIST_BENCH_EVENTS", 2_000_000)?,
            options: env::var("ANNALIST_BENCH_OPTIONS").unwrap_or_else(|_| "{}".to_owned()),
            postgres: env::var("ANNALIST_BENCH_POSTGRES").ok(),
            memory: false,
            dir: env::var_os("ANNALIST_BENCH_DIR").map_or(dir, PathBuf::from),
            rows: Vec::new(),
        };
        for argument in env::args().skip(1) {
            match argument.as_str() {
                "--bench" => {} // cargo's own
                "--memory" => settings.memory = true,
                "--help" | "-h" => {
                    println!("{HELP}");
                    process::exit(0);
                }
                flag if flag.starts_with('-') => return Err(format!("unknown argument {flag}\n\n{HELP}").into()),
                row => settings.rows.push(row.to_owned()),
            }
        }
        settings.tidy();
        Ok(settings)
    }

    /// Removes what benches that were interrupted have left behind.
    fn tidy(&self) {
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
            if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
                drop(Folder(entry.path()));
            }
        }
    }

    /// Whether this row is asked for.
    #[must_use]
    pub fn wants(&self, row: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|wanted| row.contains(wanted.as_str()))
    }

    /// A fresh folder for data, removed when it is dropped.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&self, name: &str) -> io::Result<Folder> {
        let path = self.dir.join(format!("{PREFIX}{}-{name}", process::id()));
        fs::create_dir_all(&path)?;
        Ok(Folder(path.canonicalize()?))
    }
}

fn number<T: FromStr>(name: &str, default: T) -> Result<T, Failure>
where
    T::Err: std::fmt::Display,
{
    match env::var(name) {
        Ok(text) => text.parse().map_err(|error| format!("{name}={text}: {error}").into()),
        Err(_) => Ok(default),
    }
}

/// A folder that is removed, with everything in it, when this is dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed stays under a name that says whose it is.
        let _ = fs::remove_dir_all(&self.0);
    }
}
