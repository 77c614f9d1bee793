//! The broker of the fleet, and who may do what there.

use std::path::Path;

use super::{Fleet, FleetError};
use crate::nats_server::{Accounts, NatsServer};

impl Fleet {
    /// Where the broker is, or will be.
    #[must_use]
    pub fn nats_url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.nats_port)
    }

    /// Has the broker let in only who is in this configuration, as `orders permissions` prints it, and each service be the user
    /// of its name there; from the next start of each on.
    pub fn set_accounts(&mut self, configuration: &Path, password: impl Fn(&str) -> String) {
        let nats_port = self.nats_port;
        let mut passwords = Vec::new();
        for member in &mut self.members {
            let (name, password) = (member.name, password(member.name));
            member.process.set_variable("NATS_URL", &format!("nats://{name}:{password}@127.0.0.1:{nats_port}"));
            passwords.push((format!("{}_PASSWORD", name.to_uppercase()), password));
        }
        self.accounts = Some(Accounts { configuration: configuration.to_owned(), passwords });
    }

    /// Starts the broker, unless it runs.
    ///
    /// # Errors
    /// [`FleetError::Nats`].
    pub async fn start_broker(&mut self) -> Result<(), FleetError> {
        if self.broker.is_none() {
            let start = async || {
                NatsServer::start_at(&self.dir.join("nats"), Some(self.nats_port), self.accounts.as_ref()).await
            };
            let mut broker = start().await?;
            if broker.url != self.nats_url() {
                // A run that was killed has left it behind, and the services would look for it elsewhere.
                broker.stop().await?;
                broker = start().await?;
            }
            self.broker = Some(broker);
        }
        Ok(())
    }

    /// Kills the broker.
    pub async fn kill_broker(&mut self) {
        if let Some(broker) = self.broker.take() {
            broker.kill().await;
        }
    }
}
