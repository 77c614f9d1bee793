//! What a service may do at the broker, as configuration of nats-server.

use std::{collections::BTreeSet, fmt::Write};

use crate::{Jetstream, JetstreamConsumer, consumer::Names};

/// What one service may do at the broker: publish to its own stream, consume what it consumes, keep its own dead letters;
/// nothing else. Made from the same publishers and consumers that the service runs with.
///
/// ```
/// # use annalist_nats::{Jetstream, JetstreamConsumer, JetstreamOptions, Permissions};
/// let mut options = JetstreamOptions::default();
/// options.reply_prefix = Some("_INBOX_orders".to_owned());
/// let publisher = Jetstream::at("nats://nats:4222").stream("ORDERS").options(options.clone());
/// let payments = JetstreamConsumer::at("nats://nats:4222").stream("PAYMENTS").context("orders").options(options);
/// let orders = Permissions::of("orders", "$ORDERS_PASSWORD")
///     .publisher(&publisher)
///     .consumer("orders-payments", &payments)
///     .expect("the names are valid");
/// let configuration = Permissions::account("ANNALIST", [&orders]);
/// assert!(configuration.contains(r#""ev.orders.>""#));
/// assert!(!configuration.contains(r#""ev.payments.>""#));
/// ```
///
/// A service may make its own streams, and a stream's configuration can copy and republish. Where a service is not trusted
/// with that, an operator makes the streams and removes the lines with `STREAM.CREATE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    user: String,
    password: String,
    publish: BTreeSet<String>,
    subscribe: BTreeSet<String>,
}

impl Permissions {
    /// Nothing yet, for this user with this password; `$NAME` lets the server take it from its environment.
    #[must_use]
    pub fn of(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: user.into(), password: password.into(), publish: BTreeSet::new(), subscribe: BTreeSet::new() }
    }

    /// What a publisher needs.
    #[must_use]
    pub fn publisher(mut self, publisher: &Jetstream) -> Self {
        let destination = publisher.destination();
        self.replies(destination.reach.options.reply_prefix.as_deref());
        self.publish.insert(format!("{}.>", destination.prefix));
        self.api(&["STREAM.INFO", "STREAM.CREATE", "STREAM.MSG.GET"], &destination.stream);
        self
    }

    /// What the inbox of this name needs to consume from there, to keep its dead letters, and to replay them.
    ///
    /// # Errors
    /// Which name cannot be used, and why.
    pub fn consumer(mut self, inbox: &str, consumer: &JetstreamConsumer) -> Result<Self, String> {
        let source = consumer.source();
        let names: Names = source.names(inbox)?;
        self.replies(source.reach.options.reply_prefix.as_deref());
        self.api(&["STREAM.INFO"], &source.stream);
        self.api(&["STREAM.INFO", "STREAM.CREATE", "STREAM.MSG.GET", "STREAM.MSG.DELETE"], &names.dead_stream);
        self.api(&["STREAM.INFO", "STREAM.CREATE"], &names.replay_stream);
        for stream in [&source.stream, &names.replay_stream] {
            let what = ["CONSUMER.INFO", "CONSUMER.CREATE", "CONSUMER.MSG.NEXT", "CONSUMER.RESET"];
            self.api(&what, &format!("{stream}.{inbox}"));
            // The filter stands in the subject when there is one.
            self.api(&["CONSUMER.CREATE"], &format!("{stream}.{inbox}.>"));
            // The second form names the domain and the account, too.
            self.publish.insert(format!("$JS.ACK.{stream}.{inbox}.>"));
            self.publish.insert(format!("$JS.ACK.*.*.{stream}.{inbox}.>"));
        }
        self.publish.insert(names.dead_subject);
        self.publish.insert(names.replay_subject);
        Ok(self)
    }

    fn replies(&mut self, prefix: Option<&str>) {
        self.subscribe.insert(format!("{}.>", prefix.unwrap_or("_INBOX")));
    }

    fn api(&mut self, calls: &[&str], of: &str) {
        self.publish.extend(calls.iter().map(|call| format!("$JS.API.{call}.{of}")));
    }

    /// An account with JetStream in which these services are the users: a part of the configuration of nats-server.
    #[must_use]
    pub fn account<'a>(name: &str, services: impl IntoIterator<Item = &'a Self>) -> String {
        let mut text = format!("accounts {{\n  {name} {{\n    jetstream: enabled\n    users: [\n");
        for Self { user, password, publish, subscribe } in services {
            let password = match password.strip_prefix('$') {
                Some(_) => password.clone(),
                None => quoted(password),
            };
            // Writing to a string does not fail.
            _ = write!(
                text,
                "      {{\n        user: {}\n        password: {password}\n        permissions: {{\n          publish: {{ \
                 allow: [{}] }}\n          subscribe: {{ allow: [{}] }}\n        }}\n      }}\n",
                quoted(user),
                list(publish),
                list(subscribe),
            );
        }
        text + "    ]\n  }\n}\n"
    }
}

fn list(subjects: &BTreeSet<String>) -> String {
    let mut text = String::new();
    for subject in subjects {
        _ = write!(text, "\n            {}", quoted(subject));
    }
    text + "\n          "
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
