//! `annalist append`: records one event.

use std::io::Read as _;

use annalist_core::{Append, ContentType, EventId, EventType, Expected, Key, NewEvent, StreamId, Tag, Version};
use clap::Args;
use serde_json::json;

use crate::{
    failure::{Done, Failure},
    output::Output,
    place::Place,
};

/// The scope of the keys of this command.
const SCOPE: &str = "annalist-cli";

/// Records an event
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// The stream.
    stream: String,
    /// The name of the event's type.
    #[arg(value_name = "TYPE")]
    type_name: String,
    /// What the event says, as JSON unless `--content-type` says otherwise; `-` reads it from the standard input.
    #[arg(default_value = "{}")]
    payload: String,
    /// The version of the type.
    #[arg(long, default_value_t = 1)]
    type_version: u16,
    /// A tag; may be given more than once.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// What the payload is.
    #[arg(long, default_value = "application/json")]
    content_type: String,
    /// What the stream must be like: `any`, `none`, `exists`, or its last version.
    #[arg(long, default_value = "any", value_parser = expected)]
    expected: Expected,
    /// A name for this request: repeated with the same name and content, it is recorded once.
    #[arg(long)]
    once: Option<String>,
}

fn expected(text: &str) -> Result<Expected, String> {
    match text {
        "any" => Ok(Expected::Any),
        "none" => Ok(Expected::NoStream),
        "exists" => Ok(Expected::StreamExists),
        version => match version.parse() {
            Ok(version) => Ok(Expected::Exact(Version::new(version))),
            Err(_) => Err("it is `any`, `none`, `exists` or a version".to_owned()),
        },
    }
}

pub(crate) async fn run(arguments: Arguments, output: &mut Output) -> Result<Done, Failure> {
    let append = append(&arguments)?;
    let store = arguments.place.open().await?;
    let appended = store.append(append).await?;
    let version = appended.streams.last().map_or(Version::ZERO, |(_, version)| *version);
    store.close().await?;
    let (position, repeated) = (appended.cursor.position, appended.repeated);
    if output.json {
        output.value(&json!({
            "position": position.get(),
            "stream": arguments.stream,
            "streamversion": version.get(),
            "repeated": repeated,
        }))?;
    } else {
        let before = if repeated { "was recorded before" } else { "is recorded" };
        output.line(&format!("{}@{version} {before}, at position {position}", arguments.stream))?;
    }
    Ok(Done::Well)
}

fn append(arguments: &Arguments) -> Result<Append, Failure> {
    let Arguments { stream, type_name, payload, type_version, tags, content_type, expected, once, .. } = arguments;
    let payload = if payload == "-" {
        let mut read = Vec::new();
        let failed = |error| Failure::Other(format!("cannot read the payload: {error}"));
        std::io::stdin().read_to_end(&mut read).map_err(failed)?;
        read
    } else {
        payload.clone().into_bytes()
    };
    if content_type == "application/json" {
        let wrong = |error| Failure::Usage(format!("the payload is no JSON ({error}); say what it is: --content-type"));
        serde_json::from_slice::<serde::de::IgnoredAny>(&payload).map_err(wrong)?;
    }
    let event_type = EventType::versioned(type_name.clone(), *type_version)?;
    let tags = tags.iter().map(|tag| Tag::new(tag.as_str())).collect::<Result<Vec<_>, _>>()?;
    let event = NewEvent::new(EventId::generate(), event_type, payload)
        .with_tags(tags)
        .with_content_type(ContentType::new(content_type.clone())?);
    let append = Append::new().events(StreamId::new(stream.as_str())?, *expected, [event]);
    Ok(match once {
        None => append,
        Some(once) => {
            let fingerprint = annalist_server::fingerprint(&append);
            append.keyed(Key::new(SCOPE, once.as_str())?, fingerprint, Vec::new())
        }
    })
}
