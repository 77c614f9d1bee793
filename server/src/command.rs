//! The command that serves: arguments, signals, words.

use std::{io::Write as _, net::SocketAddr, path::PathBuf};

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    options::ServerOptions,
    server::{Server, ServerError},
};

/// Runs a store as a server, until it is told to end (SIGTERM or SIGINT).
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct Arguments {
    /// Where to listen; port 0 takes any that is free
    #[arg(long, env = "ANNALIST_LISTEN", default_value_t = ServerOptions::default().listen)]
    pub listen: SocketAddr,
    /// The folder of the store, made if need be
    #[arg(long, env = "ANNALIST_DATA", default_value = "data")]
    pub data: PathBuf,
    /// The file of the keys that are accepted; `new-key` makes lines for it
    #[arg(long, env = "ANNALIST_KEYS")]
    pub keys: Option<PathBuf>,
    /// Listen beyond loopback though there are no keys
    #[arg(long)]
    pub without_keys: bool,
}

/// Serves until the process is told to end, and says on standard output where it listens. A second signal ends the process at
/// once: everything acknowledged is in the store all the same.
///
/// # Errors
/// [`ServerError`] when it does not start, or did not end as it should.
pub async fn serve(arguments: Arguments) -> Result<(), ServerError> {
    let Arguments { listen, data, keys, without_keys } = arguments;
    let mut signals = Signals::new().map_err(ServerError::Signals)?;
    let shown = data.display().to_string();
    let running = Server::start(ServerOptions { listen, data, keys, without_keys, ..ServerOptions::default() }).await?;
    // Whoever started it may have asked for any port. If nobody listens any more, that is no reason to end.
    _ = writeln!(std::io::stdout(), "listening on http://{}, storing in {shown}", running.address());
    signals.next().await;
    tracing::info!("ending");
    tokio::select! {
        biased;
        // Without the destructors of C++, which the store's threads may still depend on.
        () = signals.next() => signal_hook::low_level::exit(130),
        ended = running.shutdown() => ended,
    }
}

/// The signals that tell a process to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
