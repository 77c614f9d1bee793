//! A NATS server of our own, for as long as the program runs.
//!
//! Should this program be killed, its server lives on; the next run then finds it, uses it, and stops it like one that it
//! started. Two servers in one directory would spoil it: a lock keeps a second one out. It is taken here, but handed to
//! the server as its standard input, so that it lasts exactly as long as the server does.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::Deserialize;
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};

/// How long the server may take to start and to stop. It reads back its streams at the start.
const PATIENCE: Duration = Duration::from_secs(20);
const LOG: &str = "nats-server.log";
const POLL: Duration = Duration::from_millis(20);

/// Who may connect to a server, and do what.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// The file with them, as [`permissions`](crate::services::permissions) writes it.
    pub configuration: PathBuf,
    /// The variables that it takes passwords from.
    pub passwords: Vec<(String, String)>,
}

/// A running server.
#[derive(Debug)]
pub struct NatsServer {
    /// Where clients connect.
    pub url: String,
    pid: u32,
    binary: PathBuf,
    /// Locked by the server.
    lock: File,
    /// `None` for one that an earlier run left behind.
    child: Option<Child>,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum NatsServerError {
    /// It is not installed.
    #[error(
        "there is no nats-server: run `make tools`, or name one by NATS_SERVER, or set NATS_URL to use another, or NATS=off"
    )]
    NotInstalled,
    /// It cannot be run.
    #[error("cannot run {binary}")]
    Spawn {
        /// Which program.
        binary: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Its directory cannot be used.
    #[error("cannot use the directory {dir}")]
    Dir {
        /// Which directory.
        dir: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It ended, or did not answer in time.
    #[error("nats-server did not start; its log is {log}")]
    NotStarted {
        /// Where it says why.
        log: PathBuf,
    },
    /// It did not end in time.
    #[error("nats-server (process {pid}) did not stop")]
    NotStopped {
        /// Which process.
        pid: u32,
    },
}

impl NatsServer {
    /// Starts a server that keeps its streams in `dir`, on a free port; or takes over the one that runs there.
    ///
    /// # Errors
    /// [`NatsServerError`] when it cannot be found or started.
    pub async fn start(dir: &Path) -> Result<Self, NatsServerError> {
        Self::start_at(dir, None, None).await
    }

    /// The same, on a port that stays, for those who know no other; and with accounts, if not everybody may do everything.
    ///
    /// # Errors
    /// As [`NatsServer::start`].
    pub async fn start_at(
        dir: &Path,
        port_number: Option<u16>,
        accounts: Option<&Accounts>,
    ) -> Result<Self, NatsServerError> {
        let binary = find_binary().ok_or(NatsServerError::NotInstalled)?;
        let not_dir = |source| NatsServerError::Dir { dir: dir.to_owned(), source };
        let open_lock = || File::options().create(true).append(true).open(dir.join("lock")).map_err(not_dir);
        fs::create_dir_all(dir).map_err(not_dir)?;
        let held = open_lock()?;
        let child = match held.try_lock() {
            Ok(()) => {
                forget_ports(dir).map_err(not_dir)?;
                let spawned = command(&binary, dir, port_number, accounts, held).spawn();
                Some(spawned.map_err(|source| NatsServerError::Spawn { binary: binary.clone(), source })?)
            }
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Error(source)) => return Err(not_dir(source)),
        };
        let lock = open_lock()?;
        match timeout(PATIENCE, port(dir, &lock)).await {
            Ok(Some((url, pid))) => Ok(Self { url, pid, binary, lock, child }),
            Ok(None) | Err(_) => Err(NatsServerError::NotStarted { log: dir.join(LOG) }),
        }
    }

    /// Ends the server where it is, as a crash would, if it is one that was started here.
    pub async fn kill(self) {
        if let Some(mut child) = self.child {
            // An error says that it has ended already.
            _ = child.kill().await;
        }
    }

    /// Lets the server write what it has and end.
    ///
    /// # Errors
    /// [`NatsServerError::NotStopped`] when it does not.
    pub async fn stop(self) -> Result<(), NatsServerError> {
        let Self { pid, binary, lock, child, .. } = self;
        let asked =
            Command::new(binary).arg("--signal").arg(format!("quit={pid}")).stderr(Stdio::null()).status().await;
        let ended = timeout(PATIENCE, async {
            while lock.try_lock().is_err() {
                sleep(POLL).await;
            }
            if let Some(mut child) = child {
                // It has ended; this takes its exit status from the system.
                _ = child.wait().await;
            }
        });
        match (asked, ended.await) {
            (Ok(_), Ok(())) => Ok(()),
            _ => Err(NatsServerError::NotStopped { pid }),
        }
    }
}

/// A process group of its own keeps a Ctrl-C for this program away from the server: it is needed to the end.
fn command(binary: &Path, dir: &Path, port: Option<u16>, accounts: Option<&Accounts>, lock: File) -> Command {
    let mut command = Command::new(binary);
    let port = port.map_or_else(|| "-1".to_owned(), |port| port.to_string());
    command.args(["--addr", "127.0.0.1", "--jetstream", "--port"]).arg(port);
    command.arg("--store_dir").arg(dir).arg("--ports_file_dir").arg(dir).arg("--log").arg(dir.join(LOG));
    if let Some(Accounts { configuration, passwords }) = accounts {
        command.arg("--config").arg(configuration);
        command.envs(passwords.iter().map(|(name, password)| (name, password)));
    }
    // Whoever gives it up without stopping it has failed; then it must not be left behind.
    command.stdin(lock).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).kill_on_drop(true);
    command
}

/// `NATS_SERVER`, or `.tools/nats-server` here or in a directory above, or one on the `PATH`.
#[must_use]
pub fn find_binary() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("NATS_SERVER") {
        return Some(named.into());
    }
    let here = std::env::current_dir().ok()?;
    let tools = here.ancestors().map(|dir| dir.join(".tools/nats-server"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: Vec<_> = std::env::split_paths(&path).map(|dir| dir.join("nats-server")).collect();
    tools.chain(path).find(|file| file.is_file())
}

/// The files in which a server says where it listens, `nats-server_<process>.ports`, each with its process.
fn port_files(dir: &Path) -> io::Result<Vec<(PathBuf, u32)>> {
    let pid = |file: &Path| {
        let name = file.file_name()?.to_str()?;
        name.strip_suffix(".ports")?.rsplit_once('_')?.1.parse().ok()
    };
    let files = fs::read_dir(dir)?.collect::<Result<Vec<_>, _>>()?;
    Ok(files.iter().filter_map(|entry| pid(&entry.path()).map(|pid| (entry.path(), pid))).collect())
}

/// Removes what servers have left that were killed.
fn forget_ports(dir: &Path) -> io::Result<()> {
    port_files(dir)?.iter().try_for_each(|(file, _)| fs::remove_file(file))
}

/// Waits until the server that holds the lock says where it listens; `None` if it ends before.
async fn port(dir: &Path, lock: &File) -> Option<(String, u32)> {
    #[derive(Deserialize)]
    struct Ports {
        nats: Vec<String>,
    }
    while lock.try_lock().is_err() {
        for (file, pid) in port_files(dir).unwrap_or_default() {
            let ports = fs::read(file).ok().and_then(|bytes| serde_json::from_slice::<Ports>(&bytes).ok());
            if let Some(url) = ports.and_then(|ports| ports.nats.into_iter().next()) {
                return Some((url, pid));
            }
        }
        sleep(POLL).await;
    }
    None
}
