//! Streams and durable consumers: made if they are not there, compared if they are.

use annalist::inbox::Terms;
use async_nats::jetstream::{
    ErrorCode,
    consumer::{AckPolicy, Consumer, DeliverPolicy, pull},
    context::{Context, GetStreamErrorKind},
    stream::{Config, ConsumerErrorKind, RetentionPolicy, Stream},
};

use super::names::Names;
use crate::{connection::Trouble, options::JetstreamOptions};

pub(crate) type Pull = Consumer<pull::Config>;

/// The stream of this name, if it exists.
pub(crate) async fn find_stream(context: &Context, name: &str) -> Result<Option<Stream>, Trouble> {
    match context.get_stream(name).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
            _ => Err(Trouble::unavailable(error)),
        },
    }
}

/// The stream for dead letters.
pub(crate) async fn dead_stream(
    context: &Context,
    names: &Names,
    options: &JetstreamOptions,
) -> Result<Stream, Trouble> {
    let config = Config {
        name: names.dead_stream.clone(),
        subjects: vec![names.dead_subjects.clone()],
        description: Some("messages that inboxes could not handle".to_owned()),
        num_replicas: options.replicas,
        ..Config::default()
    };
    ensure_stream(context, config).await
}

/// The stream for dead letters that are to be handled once more; what is acknowledged is gone.
pub(crate) async fn replay_stream(
    context: &Context,
    names: &Names,
    options: &JetstreamOptions,
) -> Result<Stream, Trouble> {
    let config = Config {
        name: names.replay_stream.clone(),
        subjects: vec![names.replay_subjects.clone()],
        description: Some("dead letters that inboxes are to handle once more".to_owned()),
        retention: RetentionPolicy::WorkQueue,
        num_replicas: options.replicas,
        ..Config::default()
    };
    ensure_stream(context, config).await
}

async fn ensure_stream(context: &Context, config: Config) -> Result<Stream, Trouble> {
    let name = config.name.clone();
    if let Some(found) = find_stream(context, &name).await? {
        return check_stream(&config, &found.cached_info().config).map(|()| found);
    }
    tracing::info!(stream = name, subjects = ?config.subjects, "creating the JetStream stream");
    context.create_stream(config).await.map_err(Trouble::unavailable)?;
    context.get_stream(&name).await.map_err(Trouble::unavailable)
}

/// What makes a stream unfit. Limits and replicas are the operator's.
fn check_stream(wanted: &Config, found: &Config) -> Result<(), Trouble> {
    let mut different = Vec::new();
    if wanted.subjects != found.subjects {
        different.push(format!("its subjects are {:?}, not {:?}", found.subjects, wanted.subjects));
    }
    if wanted.retention != found.retention {
        different.push(format!("its retention is {:?}, not {:?}", found.retention, wanted.retention));
    }
    if found.sealed {
        different.push("it is sealed".to_owned());
    }
    refuse(&format!("the stream {}", wanted.name), &different)
}

fn refuse(what: &str, different: &[String]) -> Result<(), Trouble> {
    if different.is_empty() {
        return Ok(());
    }
    let different = different.join("; ");
    Err(Trouble::Misconfigured(format!("{what} exists and is another: {different}; change it, or use another name")))
}

/// What a durable consumer is to be.
pub(crate) fn wanted(terms: &Terms, filters: &[String], deliver_policy: DeliverPolicy) -> pull::Config {
    let mut config = pull::Config {
        durable_name: Some(terms.inbox.to_owned()),
        description: Some("an inbox is its only user".to_owned()),
        deliver_policy,
        ack_policy: AckPolicy::Explicit,
        ack_wait: terms.ack_wait,
        // What has failed too often is put aside by the inbox, not forgotten by the broker.
        max_deliver: -1,
        max_ack_pending: i64::try_from(terms.in_flight_max).unwrap_or(i64::MAX),
        ..pull::Config::default()
    };
    match filters {
        [] => {}
        [one] => config.filter_subject.clone_from(one),
        several => config.filter_subjects = several.to_vec(),
    }
    config
}

/// The durable consumer, as wanted. Times and counts follow what is wanted; what it consumes does not change under it.
pub(crate) async fn consumer(stream: &Stream, wanted: pull::Config) -> Result<Pull, Trouble> {
    let name = wanted.durable_name.clone().unwrap_or_default();
    let info = match stream.consumer_info(&name).await {
        Ok(info) => info,
        Err(error) => match error.kind() {
            async_nats::jetstream::context::ConsumerInfoErrorKind::NotFound => {
                tracing::info!(consumer = name, stream = stream.cached_info().config.name, "creating the consumer");
                return stream.create_consumer(wanted).await.map_err(|error| of_create(&error));
            }
            _ => return Err(Trouble::unavailable(error)),
        },
    };
    let found = &info.config;
    let mut different = Vec::new();
    if found.deliver_subject.is_some() {
        different.push("it is pushed to, not pulled from".to_owned());
    }
    if found.ack_policy != AckPolicy::Explicit {
        different.push(format!("its ack policy is {:?}, not {:?}", found.ack_policy, AckPolicy::Explicit));
    }
    let filters = |one: &str, several: &[String]| {
        let mut all: Vec<String> = several.to_vec();
        all.extend((!one.is_empty()).then(|| one.to_owned()));
        all.sort();
        all
    };
    let found_filters = filters(&found.filter_subject, &found.filter_subjects);
    let wanted_filters = filters(&wanted.filter_subject, &wanted.filter_subjects);
    if found_filters != wanted_filters {
        different.push(format!("it is for the subjects {found_filters:?}, not {wanted_filters:?}"));
    }
    refuse(&format!("the consumer {name} of the stream {}", info.stream_name), &different)?;
    let same = (found.ack_wait, found.max_ack_pending, found.max_deliver)
        == (wanted.ack_wait, wanted.max_ack_pending, wanted.max_deliver);
    if same {
        return stream.get_consumer(&name).await.map_err(Trouble::unavailable);
    }
    // Where it began cannot be changed, and does not matter any more.
    let wanted = pull::Config { deliver_policy: found.deliver_policy, ..wanted };
    stream.update_consumer(wanted).await.map_err(Trouble::unavailable)
}

fn of_create(error: &async_nats::jetstream::stream::ConsumerError) -> Trouble {
    match error.kind() {
        ConsumerErrorKind::JetStream(server) if (400..500).contains(&server.code()) => {
            Trouble::Misconfigured(format!("the broker refuses the consumer: {server}"))
        }
        _ => Trouble::unavailable(error.to_string()),
    }
}
