//! The command that serves: arguments, signals, words.

use std::{io::Write as _, net::SocketAddr, path::PathBuf};

use clap::Args;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
};

use crate::{
    options::ServerOptions,
    server::{Server, ServerError},
    tls::TlsOptions,
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
    /// The certificate to speak TLS with, a PEM file; those of intermediate authorities stand behind it
    #[arg(long, env = "ANNALIST_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The private key of the certificate, a PEM file
    #[arg(long, env = "ANNALIST_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// The authorities that clients must have certificates of, a PEM file; without it they need none
    #[arg(long, env = "ANNALIST_TLS_CLIENT_CA", requires = "tls_cert")]
    pub tls_client_ca: Option<PathBuf>,
}

impl From<Arguments> for ServerOptions {
    fn from(arguments: Arguments) -> Self {
        let Arguments { listen, data, keys, without_keys, tls_cert, tls_key, tls_client_ca } = arguments;
        let pair = tls_cert.zip(tls_key);
        let tls = pair.map(|(cert, key)| TlsOptions { client_ca: tls_client_ca, ..TlsOptions::new(cert, key) });
        Self { listen, data, keys, without_keys, tls, ..Self::default() }
    }
}

/// Serves until the process is told to end, and says on standard output where it listens. SIGHUP has keys and certificates read
/// again. A second signal to end ends the process at once: everything acknowledged is in the store all the same.
///
/// # Errors
/// [`ServerError`] when it does not start, or did not end as it should.
pub async fn serve(arguments: Arguments) -> Result<(), ServerError> {
    let mut signals = Signals::new().map_err(ServerError::Signals)?;
    let shown = arguments.data.display().to_string();
    let running = Server::start(arguments.into()).await?;
    // Whoever started it may have asked for any port. If nobody listens any more, that is no reason to end.
    _ = writeln!(std::io::stdout(), "listening on {}, storing in {shown}", running.url());
    let reload = running.reload();
    signals.end(&reload).await;
    tracing::info!("ending");
    tokio::select! {
        biased;
        // Without the destructors of C++, which the store's threads may still depend on.
        () = signals.end(&reload) => signal_hook::low_level::exit(130),
        ended = running.shutdown() => ended,
    }
}

/// The signals that a server listens to.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let [terminate, interrupt, hang_up] =
            [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
        Ok(Self { terminate: terminate?, interrupt: interrupt?, hang_up: hang_up? })
    }

    /// Waits until the process is told to end.
    async fn end(&mut self, reload: &Notify) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => reload.notify_one(),
            }
        }
    }
}
