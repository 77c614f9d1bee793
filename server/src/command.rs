//! The command that serves: arguments, signals, words.

use std::{io::Write as _, net::SocketAddr, path::PathBuf};

use clap::Args;
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
};

use crate::{
    configuration::{Configuration, ConfigurationError, Values},
    limits::{BLOCKING_THREADS_MAX, TELEMETRY_MAX},
    server::{Server, ServerError},
};

/// The runtime of a process that serves: as Tokio's own, with a bound of the threads that wait for the disk which suits a store.
///
/// # Errors
/// What the system says when there are no threads.
pub fn runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().max_blocking_threads(BLOCKING_THREADS_MAX).build()
}

/// Runs a store as a server, until it is told to end (SIGTERM or SIGINT). Flags go before variables of the environment (`ANNALIST_`
/// and the name of the setting), these before the file of settings, and this before defaults.
#[derive(Args, Clone, Debug, Default)]
#[non_exhaustive]
pub struct Arguments {
    /// The file of settings, TOML; `annalist.toml` of the current folder if it is there [env: `ANNALIST_CONFIG`]
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Where to listen; port 0 takes any that is free [default: 127.0.0.1:2665]
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// The folder of the store, made if need be [default: data]
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// The file of the keys that are accepted; `new-key` makes lines for it
    #[arg(long)]
    pub keys: Option<PathBuf>,
    /// The folder of the backups that clients may ask for
    #[arg(long)]
    pub backups: Option<PathBuf>,
    /// Listen beyond loopback though nobody is asked who he is
    #[arg(long)]
    pub without_keys: bool,
    /// The certificate to speak TLS with, a PEM file; those of intermediate authorities stand behind it
    #[arg(long)]
    pub tls_cert: Option<PathBuf>,
    /// The private key of the certificate, a PEM file
    #[arg(long)]
    pub tls_key: Option<PathBuf>,
    /// The authorities that clients must have certificates of, a PEM file; without it they need none
    #[arg(long)]
    pub tls_client_ca: Option<PathBuf>,
    /// The lists of certificates that these authorities have revoked, a PEM file; without it none is taken for revoked
    #[arg(long)]
    pub tls_client_crl: Option<PathBuf>,
}

impl Arguments {
    /// What they, the environment, the file and defaults come to together.
    ///
    /// # Errors
    /// [`ConfigurationError`] when one of them cannot be used.
    pub fn configuration(&self) -> Result<Configuration, ConfigurationError> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string().into());
        let flags = [
            ("listen", self.listen.map(|address| address.to_string().into())),
            ("data", path(&self.data)),
            ("keys", path(&self.keys)),
            ("backups", path(&self.backups)),
            ("without_keys", self.without_keys.then(|| true.into())),
            ("tls.cert", path(&self.tls_cert)),
            ("tls.key", path(&self.tls_key)),
            ("tls.client_ca", path(&self.tls_client_ca)),
            ("tls.client_crl", path(&self.tls_client_crl)),
        ];
        let flags: Values = flags.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        // A variable that is not text cannot be a setting.
        Configuration::of(&flags, self.config.as_deref(), |name| std::env::var(name).ok())
    }
}

/// Serves until the process is told to end, and says on standard output where it listens. What it tells of itself, log lines and
/// traces, is set up here. SIGHUP has keys and certificates read
/// again. A second signal to end ends the process at once: everything acknowledged is in the store all the same.
///
/// # Errors
/// [`ServerError`] when it does not start, or did not end as it should.
pub async fn serve(arguments: Arguments) -> Result<(), ServerError> {
    let mut signals = Signals::new().map_err(ServerError::Signals)?;
    let options = arguments.configuration()?.options().clone();
    let shown = options.data.display().to_string();
    let telemetry = options.telemetry().start()?;
    let running = Server::start(options).await?;
    // Whoever started it may have asked for any port. If nobody listens any more, that is no reason to end.
    _ = writeln!(std::io::stdout(), "listening on {}, storing in {shown}", running.url());
    let reload = running.reload();
    signals.end(&reload).await;
    tracing::info!("ending");
    let ending = async {
        let ended = running.shutdown().await;
        telemetry.end(TELEMETRY_MAX).await;
        ended
    };
    tokio::select! {
        biased;
        // Without the destructors of C++, which the store's threads may still depend on.
        () = signals.end(&reload) => signal_hook::low_level::exit(130),
        ended = ending => ended,
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
