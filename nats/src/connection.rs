//! A connection to the broker.

use std::error::Error;

use annalist::{inbox::ConsumeError, outbox::PublishError};
use async_nats::{
    Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr,
    jetstream::context::{Context, ContextBuilder},
};
use tokio::sync::watch;

use crate::{
    headers::percent_decoded,
    options::{Credentials, JetstreamOptions},
};

/// What is in the way, for the publisher and for consumers alike.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It may pass.
    Unavailable(String),
    /// It needs a person.
    Misconfigured(String),
}

impl Trouble {
    pub(crate) fn unavailable(detail: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(detail.into().to_string())
    }
}

impl From<Trouble> for PublishError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Unavailable(detail) => Self::Unavailable { detail },
            Trouble::Misconfigured(detail) => Self::Misconfigured { detail },
        }
    }
}

impl From<Trouble> for ConsumeError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Unavailable(detail) => Self::Unavailable { detail },
            Trouble::Misconfigured(detail) => Self::Misconfigured { detail },
        }
    }
}

/// How the broker is reached.
#[derive(Clone)]
pub(crate) struct Reach {
    pub(crate) url: String,
    pub(crate) credentials: Credentials,
    pub(crate) options: JetstreamOptions,
}

impl Reach {
    pub(crate) fn at(url: String) -> Self {
        Self { url, credentials: Credentials::Anonymous, options: JetstreamOptions::default() }
    }
}

/// A connection. It is not mended: after a failure a new one is made, so that nothing of the old is left waiting, and the
/// client's own reconnecting, which would keep unanswered requests until they time out, stays out of it.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) context: Context,
    lost: watch::Receiver<bool>,
}

impl Connection {
    /// Connects as `name`; at most so many messages are published and not acknowledged.
    pub(crate) async fn open(reach: &Reach, name: &str, acks_max: usize) -> Result<Self, Trouble> {
        let (sender, lost) = watch::channel(false);
        let options = &reach.options;
        // The client tries each server of the list at most once more before it gives itself up.
        let servers = servers(&reach.url);
        let mut connect = with_credentials(&reach.credentials, &servers)
            .await?
            .name(name)
            .connection_timeout(options.connect_timeout)
            .request_timeout(Some(options.answer_timeout))
            .ping_interval(options.ping_interval)
            .max_reconnects(servers.len())
            .event_callback(move |event| {
                if matches!(event, Event::Disconnected | Event::Closed) {
                    sender.send_replace(true);
                }
                async {}
            });
        if let Some(prefix) = &options.reply_prefix {
            connect = connect.custom_inbox_prefix(prefix);
        }
        let client = connect.connect(servers).await.map_err(|error| of_connect(&error))?;
        let builder = ContextBuilder::new().timeout(options.answer_timeout).max_ack_inflight(acks_max);
        Ok(Self { context: builder.build(client.clone()), client, lost })
    }

    pub(crate) fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// Waits until the connection is lost.
    pub(crate) fn lost(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut lost = self.lost.clone();
        // The error says that the client is gone, and the connection with it.
        async move { _ = lost.wait_for(|lost| *lost).await }
    }
}

/// The addresses of a list with commas between.
pub(crate) fn servers(url: &str) -> Vec<&str> {
    url.split(',').map(str::trim).collect()
}

/// Why there is no connection. Wrong credentials may be put right at the broker's side: they are worth another attempt.
fn of_connect(error: &async_nats::ConnectError) -> Trouble {
    match error.kind() {
        ConnectErrorKind::ServerParse => {
            Trouble::Misconfigured(format!("the address of the broker is not valid: {error}"))
        }
        _ => Trouble::unavailable(error.to_string()),
    }
}

/// Options of who is named by one of the addresses, `nats://user:password@host` or `nats://token@host`. The client itself
/// does not look there.
pub(crate) fn named_in(servers: &[&str]) -> ConnectOptions {
    let options = ConnectOptions::new();
    let decoded = |text: &str| percent_decoded(text).unwrap_or_else(|| text.to_owned());
    // An address that is none is told of when it is connected to.
    let mut addresses = servers.iter().filter_map(|server| server.parse::<ServerAddr>().ok());
    let Some(named) = addresses.find(ServerAddr::has_user_pass) else { return options };
    match (named.username(), named.password()) {
        (Some(user), Some(password)) => options.user_and_password(decoded(user), decoded(password)),
        (Some(token), None) => options.token(decoded(token)),
        (None, _) => options,
    }
}

async fn with_credentials(credentials: &Credentials, servers: &[&str]) -> Result<ConnectOptions, Trouble> {
    let options = ConnectOptions::new();
    Ok(match credentials {
        Credentials::Anonymous => named_in(servers),
        Credentials::UserPassword { user, password } => options.user_and_password(user.clone(), password.clone()),
        Credentials::Token(token) => options.token(token.clone()),
        Credentials::Nkey(seed) => options.nkey(seed.clone()),
        Credentials::File(path) => options.credentials_file(path).await.map_err(|error| {
            Trouble::unavailable(format!("the credentials file {} cannot be used: {error}", path.display()))
        })?,
    })
}
