//! Keys and certificates, read again when their files change or somebody says so.

use std::sync::Arc;

use tokio::{
    sync::Notify,
    time::{Instant, interval},
};

use crate::{
    audit::Audit,
    clock,
    keys::KeyFile,
    limits::{CERTIFICATE_WARNING_INTERVAL, RELOAD_INTERVAL},
    tls::Tls,
};

/// What is read again.
pub(crate) struct Secrets {
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) keys: Option<Arc<KeyFile>>,
    pub(crate) audit: Arc<Audit>,
}

/// Reads them again, for ever: when it is told to, and now and then. What cannot be used is told once, and what was read before
/// stays in force.
pub(crate) async fn run(secrets: Secrets, told: Arc<Notify>) {
    let (mut ticks, mut said, mut warned) = (interval(RELOAD_INTERVAL), Vec::new(), None);
    loop {
        tokio::select! {
            biased;
            // Who says so wants to know what came of it, also for the second time.
            () = told.notified() => {
                tracing::info!("reading keys and certificates again");
                said.clear();
            }
            _ = ticks.tick() => {}
        }
        said = secrets.read(&said);
        secrets.warn(&mut warned);
        secrets.audit.settle();
    }
}

impl Secrets {
    /// Returns what is wrong.
    fn read(&self, said: &[String]) -> Vec<String> {
        let tls = self.tls.as_ref().map(|tls| tls.reload(clock::now()).map_err(|error| error.to_string()));
        let keys = self.keys.as_ref().map(|keys| keys.reload());
        if let Err(error) = self.audit.reopen() {
            tracing::error!(%error, "the audit log cannot be opened again");
        }
        let mut wrong = Vec::new();
        for (what, read) in [("certificates", tls), ("keys", keys)] {
            match read {
                None | Some(Ok(false)) => {}
                Some(Ok(true)) => tracing::info!("new {what} are in force"),
                Some(Err(why)) => {
                    if !said.contains(&why) {
                        tracing::error!(why, "new {what} cannot be used; the old ones stay in force");
                    }
                    wrong.push(why);
                }
            }
        }
        wrong
    }

    fn warn(&self, warned: &mut Option<Instant>) {
        let Some(tls) = &self.tls else { return };
        let (left, list_is_overdue) = (tls.expires_in(clock::now()), tls.is_list_overdue(clock::now()));
        let something = left.is_some() || list_is_overdue;
        if !something || warned.is_some_and(|at| at.elapsed() < CERTIFICATE_WARNING_INTERVAL) {
            return;
        }
        *warned = Some(Instant::now());
        if let Some(left) = left {
            tracing::warn!(hours = left.as_secs() / 3600, "the server's certificate will have expired; renew it");
        }
        if list_is_overdue {
            tracing::warn!(
                "a list of revoked certificates should have been replaced by now; it stays in force, and what was revoked since \
                 is not in it: fetch the new one"
            );
        }
    }
}
