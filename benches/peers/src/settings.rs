//! What the caller asks for.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process,
    str::FromStr,
};

use benches::Failure;

const HELP: &str = "\
usage: make peers [ARGS=\"[GROUP…] [ROW…]\"]

  GROUP   append, condition, read, cold, log, and server with `make peer-servers`; all of them if none is named
  ROW     measure only rows whose name contains one of these, for example 64x1, tag or open

  PEERS_ONLY          stores, separated by commas: annalist, tephra, sqlite, sqlite-direct, umadb, sierradb, disk; all
  PEERS_OPTIONS       options of Annalist that differ from its defaults, as JSON; {}
  PEERS_SECONDS       length of one measurement, in seconds; 30
  PEERS_ROUNDS        how often each is repeated, the stores taking turns; 2
  PEERS_READ_EVENTS   events of the log that `read` reads; 1000000
  PEERS_COLD_EVENTS   events of the log that `cold` reads; 8000000
  PEERS_COLD_MIB      memory that a process which reads it may use, page cache included; 768
  PEERS_LOG_EVENTS    sizes of the logs of `log`, separated by commas; 1000000,10000000
  PEERS_DIR           where the data goes, a folder on the disk to be measured; target/peers-data
  PEERS_RESULTS       where the figures go as JSON, a file for each group; target/peers-results";

/// The groups of rows, in the order in which they are measured.
pub(crate) const GROUPS: [&str; 6] = ["append", "condition", "read", "cold", "log", "server"];

/// What to measure, how, where.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Length of one measurement.
    pub seconds: f64,
    /// How often each is repeated.
    pub rounds: usize,
    /// Events of the log that is read warm.
    pub read_events: u64,
    /// Events of the log that is read cold.
    pub cold_events: u64,
    /// What a process may use that reads it.
    pub cold_bytes: u64,
    /// Sizes of the logs that are opened, replayed and weighed.
    pub log_events: Vec<u64>,
    /// Where the figures go.
    pub results: PathBuf,
    dir: PathBuf,
    only: Vec<String>,
    groups: Vec<String>,
    rows: Vec<String>,
}

impl Settings {
    /// Reads the arguments and the environment; prints the usage and ends the process when asked to.
    pub(crate) fn new(arguments: Vec<String>) -> Result<Self, Failure> {
        if let Some(flag) = arguments.iter().find(|argument| argument.starts_with('-')) {
            println!("{HELP}");
            process::exit(i32::from(flag != "--help" && flag != "-h"));
        }
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
        let folder = |name: &str, default: &str| env::var_os(name).map_or(target.join(default), PathBuf::from);
        let (groups, rows) = arguments.into_iter().partition(|argument| GROUPS.contains(&argument.as_str()));
        let only = env::var("PEERS_ONLY").unwrap_or_default();
        let logs = env::var("PEERS_LOG_EVENTS").unwrap_or_else(|_| "1000000,10000000".to_owned());
        let (dir, results) = (folder("PEERS_DIR", "peers-data"), folder("PEERS_RESULTS", "peers-results"));
        fs::create_dir_all(&dir)?;
        fs::create_dir_all(&results)?;
        Ok(Self {
            seconds: number("PEERS_SECONDS", 30.0)?,
            rounds: number("PEERS_ROUNDS", 2)?,
            read_events: number("PEERS_READ_EVENTS", 1_000_000)?,
            cold_events: number("PEERS_COLD_EVENTS", 8_000_000)?,
            cold_bytes: number::<u64>("PEERS_COLD_MIB", 768)? * 1024 * 1024,
            log_events: logs.split(',').map(|events| parse("PEERS_LOG_EVENTS", events)).collect::<Result<_, _>>()?,
            results: results.canonicalize()?,
            dir: dir.canonicalize()?,
            only: only.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            groups,
            rows,
        })
    }

    /// Whether this group of rows is asked for.
    pub(crate) fn wants_group(&self, group: &str) -> bool {
        self.groups.is_empty() || self.groups.iter().any(|wanted| wanted == group)
    }

    /// Whether this group was named.
    #[cfg(not(feature = "servers"))]
    pub(crate) fn names_group(&self, group: &str) -> bool {
        self.groups.iter().any(|wanted| wanted == group)
    }

    /// Whether this row is asked for.
    pub(crate) fn wants(&self, row: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|wanted| row.contains(wanted.as_str()))
    }

    /// Those of the stores that are asked for.
    pub(crate) fn peers<'a>(&self, peers: &[&'a str]) -> Vec<&'a str> {
        let wanted = |peer: &str| self.only.iter().any(|only| peer == only || peer.starts_with(&format!("{only}-")));
        peers.iter().copied().filter(|peer| self.only.is_empty() || wanted(peer)).collect()
    }

    /// A fresh folder for the data of one store.
    pub(crate) fn folder(&self, peer: &str) -> std::io::Result<Folder> {
        let path = self.dir.join(format!("{}-{peer}", process::id()));
        fs::create_dir(&path)?;
        Ok(Folder(path))
    }

    /// Where the data goes.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}

fn number<T: FromStr<Err: std::fmt::Display>>(name: &str, default: T) -> Result<T, Failure> {
    env::var(name).map_or(Ok(default), |text| parse(name, &text))
}

fn parse<T: FromStr<Err: std::fmt::Display>>(name: &str, text: &str) -> Result<T, Failure> {
    text.parse().map_err(|error| format!("{name}={text}: {error}").into())
}

/// A folder that is removed, with everything in it, when this is dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed stays under a name that says whose it is.
        let _ = fs::remove_dir_all(&self.0);
    }
}
