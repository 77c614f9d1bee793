//! A server's process, from both sides.

use std::{
    io::{self, BufRead as _, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, ChildStdin, Stdio},
};

use benches::Failure;
use tokio::{sync::oneshot, task::spawn_blocking};
use umadb_server::{ServerOptions as UmaDbOptions, StorageOptions, start_server_with_options};

use super::command;

/// The first argument of a process that serves; the second is which server, the third its folder.
pub(crate) const SERVE: &str = "--serve";

/// What a server prints before its address.
const LISTENING: &str = "listening ";

/// A server in a process of its own, which ends with this one.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    address: String,
}

impl Process {
    /// Starts a server on a folder, and waits until it listens.
    pub(super) fn start(name: &str, folder: &Path) -> Result<Self, Failure> {
        let mut command = command(name)?;
        let mut child = command.arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let address = lines.find_map(|line| line.ok()?.strip_prefix(LISTENING).map(str::to_owned));
        // What it says later must not break its pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let address = address.ok_or_else(|| format!("the server of {name} did not start"))?;
        Ok(Self { child, input, address })
    }

    /// Where it listens, as host and port.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Its number.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it in order.
    pub(super) async fn end(mut self) -> Result<(), Failure> {
        drop(self.input.take());
        let status = spawn_blocking(move || self.child.wait()).await??;
        if status.success() { Ok(()) } else { Err(format!("the server ended with {status}").into()) }
    }
}

/// What such a process does: serves with the defaults, as the server's own program would, until its standard input ends.
pub(crate) fn serve(name: &str, folder: &Path) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || {
        _ = io::copy(&mut io::stdin(), &mut io::sink());
        _ = ended.send(());
    });
    match name {
        "umadb" => runtime.block_on(umadb(folder, end)),
        name => Err(format!("{name} is no server").into()),
    }
}

async fn umadb(folder: &Path, end: oneshot::Receiver<()>) -> Result<(), Failure> {
    // It does not say which port it was given, so one that is free a moment before; its client tries for half a second.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let storage = StorageOptions::default().db_path(folder);
    let options = UmaDbOptions { listen_addr: address.to_string(), tls: None, api_key: None, storage };
    println!("{LISTENING}{address}");
    start_server_with_options(options, end).await.map_err(|error| error.to_string())?;
    Ok(())
}
