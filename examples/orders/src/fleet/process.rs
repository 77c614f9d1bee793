//! One service as a process.

use std::{
    fs::{File, create_dir_all},
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    process::{Child, Command},
    time::timeout,
};

/// How long a process may take to end. It gives itself less than 30 s.
const END_MAX: Duration = Duration::from_secs(40);

/// A program that runs, or not. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Process {
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    variables: Vec<(String, String)>,
    child: Option<Child>,
}

impl Process {
    /// One that does not run yet; it will log to the end of `log`.
    pub(super) const fn new(program: PathBuf, arguments: Vec<String>, log: PathBuf) -> Self {
        Self { program, arguments, log, variables: Vec::new(), child: None }
    }

    /// Gives it a variable of the environment, from its next start on.
    pub(super) fn set_variable(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Starts it, unless it runs.
    pub(super) fn start(&mut self) -> io::Result<()> {
        if self.child.is_some() && self.ended().is_none() {
            return Ok(());
        }
        if let Some(dir) = self.log.parent() {
            create_dir_all(dir)?;
        }
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.program);
        // Its input ends when this program does, however that ends; then it ends as well.
        command
            .args(&self.arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log);
        // A Ctrl-C is for the program that started it, which ends it in order.
        self.child = Some(command.process_group(0).kill_on_drop(true).spawn()?);
        Ok(())
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok()?
    }

    /// Kills it.
    pub(super) async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // An error says that it has ended already.
            _ = child.kill().await;
        }
    }

    /// Tells it to end, and waits until it has.
    pub(super) async fn end(&mut self) -> Result<(), String> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        if let Some(pid) = child.id() {
            let told = Command::new("kill").arg("-TERM").arg(pid.to_string()).stderr(Stdio::null()).status().await;
            told.map_err(|error| format!("could not be told to end: {error}"))?;
        }
        // To wait closes its input, which tells it once more: a second word would end it at once.
        let _input = child.stdin.take();
        match timeout(END_MAX, child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(format!("ended with {status}")),
            Ok(Err(error)) => Err(format!("could not be waited for: {error}")),
            Err(_) => Err("did not end in time".to_owned()),
        }
    }

    pub(super) fn log(&self) -> &Path {
        &self.log
    }
}
