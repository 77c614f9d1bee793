//! A store that runs as a process of its own.

use std::{
    io::{BufRead as _, BufReader},
    num::NonZeroU8,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::Arc,
};

use annalist_client::{RemoteOptions, RemoteStore};
use annalist_core::{Checkpoints, Snapshots};
use async_trait::async_trait;
use tempfile::TempDir;

use crate::conformance::{self, Reopening, Reopens, Subject};

/// A server as a process. It dies with this, and ends with this process if that is killed.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    address: String,
    // Not the child's, which closes it when it is waited for: it ends with it.
    _input: ChildStdin,
    // Kept, so that the server has somebody to talk to.
    _output: BufReader<ChildStdout>,
}

impl ServerProcess {
    /// Starts the program `store_server` of this package, on a store in `data`, and waits until it listens.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn start(program: &str, data: &Path, listen: &str) -> Self {
        let mut command = Command::new(program);
        command.arg("--listen").arg(listen).arg("--data").arg(data).arg("--until-input-ends");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the server starts");
        let input = child.stdin.take().expect("its input is piped");
        let mut output = BufReader::new(child.stdout.take().expect("its output is piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("its output is text");
        let said = line.strip_prefix("listening on ").and_then(|line| line.split(',').next());
        let address = said.unwrap_or_else(|| panic!("it says where it listens: {line:?}")).to_owned();
        Self { child, address, _input: input, _output: output }
    }

    /// The number of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens: `http://…`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where it listens, as it is told to.
    #[must_use]
    pub fn listen(&self) -> &str {
        self.address.trim_start_matches("http://")
    }

    /// Tells it to end, and waits until it has.
    ///
    /// # Panics
    /// When it cannot be told.
    #[must_use]
    pub fn terminate(&mut self) -> ExitStatus {
        let told = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        assert!(told.is_ok_and(|status| status.success()), "it can be told to end");
        self.child.wait().expect("it ends")
    }

    /// Kills it, as a machine does that has no memory left.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it is dead");
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may be gone already.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A store reached over the network.
#[derive(Debug)]
pub struct Remote {
    program: &'static str,
    connections: NonZeroU8,
    dir: TempDir,
    server: Option<ServerProcess>,
    store: RemoteStore,
}

impl Remote {
    /// A new store, served by this program, over so many connections. Must be called within a Tokio runtime.
    ///
    /// # Panics
    /// When the server does not start.
    #[must_use]
    pub fn start(program: &'static str, dir: TempDir, connections: NonZeroU8) -> Self {
        let (server, store) = connect(program, &dir.path().join("store"), connections);
        Self { program, connections, dir, server: Some(server), store }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("store")
    }
}

fn connect(program: &str, path: &Path, connections: NonZeroU8) -> (ServerProcess, RemoteStore) {
    let server = ServerProcess::start(program, path, "127.0.0.1:0");
    let mut options = RemoteOptions::default();
    options.connections = connections;
    let store = RemoteStore::connect_with(server.address(), options).expect("the address of a server");
    (server, store)
}

#[async_trait]
impl Subject for Remote {
    fn store(&self) -> conformance::Store {
        Arc::new(self.store.clone())
    }
    fn snapshots(&self) -> Arc<dyn Snapshots> {
        Arc::new(self.store.clone())
    }
    fn checkpoints(&self) -> Arc<dyn Checkpoints> {
        Arc::new(self.store.clone())
    }
    async fn close(&self) {
        self.store.close();
    }
    fn reopens(&mut self) -> Option<&mut dyn Reopens> {
        Some(self)
    }
}

#[async_trait]
impl Reopens for Remote {
    async fn reopen(&mut self, how: Reopening) {
        self.close().await;
        let ended = self.server.take().map(|mut server| server.terminate());
        assert!(ended.is_some_and(|status| status.success()), "the server ends in order: {ended:?}");
        if how == Reopening::WithoutIndex {
            std::fs::remove_dir_all(self.path().join("index")).expect("the index can be deleted");
        }
        let (server, store) = connect(self.program, &self.path(), self.connections);
        (self.server, self.store) = (Some(server), store);
    }
}
