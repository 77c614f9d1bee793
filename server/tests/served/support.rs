//! The server as a process.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

/// A running server, which dies with this.
pub(crate) struct Process {
    pub(crate) child: Child,
    /// Where it listens: `http://…`.
    pub(crate) address: String,
    // Kept, so that the server has somebody to talk to.
    _output: BufReader<ChildStdout>,
}

impl Process {
    /// The program, told to keep a store in `data`.
    pub(crate) fn command(data: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_annalist-server"));
        command.args(["--listen", "127.0.0.1:0", "--data"]).arg(data).env("RUST_LOG", "warn");
        command
    }

    /// Starts it, and waits until it listens.
    pub(crate) fn start(data: &Path) -> Self {
        Self::run(Self::command(data))
    }

    /// Starts a command that serves, and waits until it listens.
    pub(crate) fn run(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the server starts");
        let mut output = BufReader::new(child.stdout.take().expect("its output is piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("its output is text");
        let address = line.strip_prefix("listening on ").and_then(|line| line.split(',').next());
        Self { child, address: address.expect("it says where it listens").to_owned(), _output: output }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// What curl says, and the status.
pub(crate) fn curl(arguments: &[&str]) -> (u16, String) {
    let output = Command::new("curl").args(["-s", "-w", "\n%{http_code}"]).args(arguments).output().expect("curl runs");
    let text = String::from_utf8(output.stdout).expect("an answer is text");
    let (body, status) = text.rsplit_once('\n').expect("curl writes the status");
    (status.parse().expect("a status"), body.to_owned())
}
