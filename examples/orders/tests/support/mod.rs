//! The real program, in a directory of its own, with the first rows of the real file.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use annalist_nats::{StoredMessage, published};
use flate2::read::GzDecoder;
use orders::{nats_server::NatsServer, report::Summary, shop::STREAM};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// How many rows the tests import.
pub const ROWS: usize = 2_000;

/// The heading and the first rows of the real file.
pub fn lines() -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/orders.csv.gz");
    let mut text = String::new();
    GzDecoder::new(fs::File::open(file).unwrap()).read_to_string(&mut text).unwrap();
    text.lines().take(ROWS + 1).map(str::to_owned).collect()
}

/// A directory to run in.
pub struct Shop {
    dir: TempDir,
}

impl Shop {
    /// A new one, with these lines as the file to import.
    pub fn new(lines: &[String]) -> Self {
        let shop = Self { dir: tempfile::tempdir().unwrap() };
        shop.set_lines(lines);
        shop
    }

    pub fn set_lines(&self, lines: &[String]) {
        fs::write(self.file(), lines.join("\n")).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("orders.csv")
    }

    /// Where the state lies.
    pub fn run_dir(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// The program with its own NATS server.
    pub fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orders"));
        command.arg("--dir").arg(self.run_dir()).arg(subcommand).stdin(Stdio::null());
        command.env_remove("NATS").env_remove("NATS_URL").env_remove("RUST_LOG");
        if subcommand == "import" {
            command.arg("--file").arg(self.file());
        }
        command
    }

    /// The program without NATS.
    pub fn offline(&self, subcommand: &str) -> Command {
        let mut command = self.command(subcommand);
        command.env("NATS", "off");
        command
    }

    /// Starts an import without waiting for it.
    pub fn start_import(&self) -> Child {
        self.command("import").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub fn summary(&self) -> Summary {
        serde_json::from_slice(&fs::read(self.run_dir().join("summary.json")).unwrap()).unwrap()
    }

    /// What the program's NATS server holds.
    pub fn published(&self) -> Vec<Public> {
        runtime().block_on(async {
            let server = NatsServer::start(&self.run_dir().join("nats")).await.unwrap();
            let messages = published(&server.url, STREAM).await.unwrap().all().await.unwrap();
            server.stop().await.unwrap();
            messages.into_iter().map(Public::from).collect()
        })
    }
}

/// What others see of a message, without the time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Public {
    id: String,
    subject: String,
    event_type: String,
    data: Vec<u8>,
}

impl From<StoredMessage> for Public {
    fn from(message: StoredMessage) -> Self {
        let (id, event_type) = (message.id().to_owned(), message.event_type().to_owned());
        Self { id, event_type, subject: message.subject, data: message.data.to_vec() }
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

impl Drop for Shop {
    /// A killed run leaves its NATS server behind; a test that fails must not.
    fn drop(&mut self) {
        let dir = self.run_dir().join("nats");
        if dir.exists() {
            _ = runtime().block_on(async { NatsServer::start(&dir).await?.stop().await });
        }
    }
}

/// Runs to the end and checks the exit code.
#[track_caller]
pub fn run(mut command: Command, code: i32) -> Output {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{command:?} ended with {}:\n{text}", output.status);
    output
}

/// The figures of a summary without what the run did.
pub fn figures(summary: Summary) -> Summary {
    Summary { events_appended: 0, seconds: 0.0, ..summary }
}
