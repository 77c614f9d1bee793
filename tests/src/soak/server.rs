//! The server, as a process that dies and rises.

use std::{
    num::NonZeroU8,
    path::{Path, PathBuf},
    time::Duration,
};

use annalist_client::{RemoteOptions, RemoteStore};
use tokio::task::block_in_place;

use super::Wrong;
use crate::subjects::ServerProcess;

/// A server that is started again where it was.
pub(super) struct Restarted {
    program: PathBuf,
    data: PathBuf,
    process: ServerProcess,
}

impl Restarted {
    pub(super) fn start(program: &Path, data: &Path) -> Self {
        let process = start(program, data, "127.0.0.1:0");
        Self { program: program.to_owned(), data: data.to_owned(), process }
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// A client with a connection of its own.
    pub(super) fn client(&self) -> Result<RemoteStore, Wrong> {
        let mut options = RemoteOptions::default();
        options.call_timeout = Duration::from_mins(1);
        options.connections = NonZeroU8::MIN;
        RemoteStore::connect_with(self.process.address(), options).map_err(|error| error.to_string())
    }

    /// Kills it, and starts it again.
    pub(super) fn kill(&mut self) {
        block_in_place(|| {
            self.process.kill();
            self.rise();
        });
    }

    /// Tells it to end, and starts it again once it has.
    pub(super) fn end(&mut self) {
        block_in_place(|| {
            assert!(self.process.terminate().success(), "it ends in order");
            self.rise();
        });
    }

    /// Tells it to end.
    pub(super) fn close(mut self) {
        block_in_place(|| assert!(self.process.terminate().success(), "it ends in order"));
    }

    fn rise(&mut self) {
        let listen = self.process.listen().to_owned();
        self.process = start(&self.program, &self.data, &listen);
    }
}

fn start(program: &Path, data: &Path, listen: &str) -> ServerProcess {
    ServerProcess::start(program.to_str().expect("a path in UTF-8"), data, listen)
}
