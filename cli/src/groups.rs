//! `annalist groups`: consumer groups of a server, and what is parked in them.

use annalist_client::{GroupStatus, ParkedEvent};
use annalist_core::Position;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{
    address::Address,
    failure::{Done, Failure},
    output::Output,
};

/// Consumer groups of a server
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    order: Order,
}

#[derive(Subcommand, Debug)]
enum Order {
    /// Prints all groups, and how far they are
    List(List),
    /// Prints one group
    Show(One),
    /// Prints what is parked in a group: its stream waits for you
    Parked(One),
    /// Hands a parked event out again, as if for the first time, or all of them
    Replay(Which),
    /// Settles a parked event undone, or all of them, and goes on with what is behind it
    Skip(Which),
    /// Ends a group and forgets how far it was
    Remove(One),
}

#[derive(Args, Debug)]
struct List {
    #[command(flatten)]
    server: Address,
}

#[derive(Args, Debug)]
struct One {
    #[command(flatten)]
    server: Address,
    /// The name of the group.
    group: String,
}

#[derive(Args, Debug)]
struct Which {
    #[command(flatten)]
    one: One,
    /// The position of the event.
    #[arg(required_unless_present = "all")]
    position: Option<u64>,
    /// All that are parked.
    #[arg(long, conflicts_with = "position")]
    all: bool,
}

pub(crate) async fn run(arguments: &Arguments, output: &mut Output) -> Result<Done, Failure> {
    match &arguments.order {
        Order::List(List { server }) => statuses(output, &server.connect()?.groups().await?)?,
        Order::Show(One { server, group }) => {
            let (status, _) = server.connect()?.group_status(group).await?;
            statuses(output, &[status])?;
        }
        Order::Parked(One { server, group }) => parked(output, &server.connect()?.group_status(group).await?.1)?,
        Order::Replay(Which { one, position, .. }) => {
            let count = one.server.connect()?.replay_parked(&one.group, position.map(Position::new)).await?;
            settled(output, "replayed", *position, count)?;
        }
        Order::Skip(Which { one, position, .. }) => {
            let count = one.server.connect()?.skip_parked(&one.group, position.map(Position::new)).await?;
            settled(output, "skipped", *position, count)?;
        }
        Order::Remove(One { server, group }) => {
            server.connect()?.remove_group(group).await?;
            if output.json { output.value(&json!({ "removed": group }))? } else { output.line("removed")? }
        }
    }
    Ok(Done::Well)
}

fn settled(output: &mut Output, what: &str, position: Option<u64>, count: u64) -> Result<(), Failure> {
    if let Some(position) = position.filter(|_| count == 0) {
        return Err(Failure::Other(format!(
            "no event at position {position} is parked; `annalist groups parked` lists them"
        )));
    }
    if output.json { output.value(&json!({ what: count })) } else { output.line(&format!("{count} {what}")) }
}

fn statuses(output: &mut Output, all: &[GroupStatus]) -> Result<(), Failure> {
    if output.json {
        return all.iter().try_for_each(|group| output.value(&status(group)));
    }
    let rows = all.iter().map(|group| {
        let numbers = [group.lag(), group.open, group.parked, group.behind, u64::from(group.members)];
        let [lag, open, parked, behind, members] = numbers.map(|number| number.to_string());
        [group.name.clone(), group.query.to_string(), members, lag, open, parked, behind]
    });
    output.table(["group", "query", "members", "lag", "open", "parked", "behind"], rows)?;
    all.iter().filter_map(|group| group.problem.as_deref()).try_for_each(|problem| output.line(problem))
}

fn status(group: &GroupStatus) -> Value {
    json!({
        "group": group.name,
        "query": group.query.to_string(),
        "members": group.members,
        "read": group.read.position.get(),
        "lag": group.lag(),
        "open": group.open,
        "parked": group.parked,
        "behind": group.behind,
        "problem": group.problem,
    })
}

fn parked(output: &mut Output, all: &[ParkedEvent]) -> Result<(), Failure> {
    if output.json {
        return all.iter().try_for_each(|event| {
            output.value(&json!({
                "position": event.position.get(),
                "stream": event.stream,
                "attempts": event.attempts,
                "behind": event.behind,
                "reason": event.reason,
            }))
        });
    }
    let rows = all.iter().map(|event| {
        let [position, attempts, behind] =
            [event.position.get(), event.attempts.into(), event.behind].map(|number: u64| number.to_string());
        [position, event.stream.clone(), attempts, behind, event.reason.clone()]
    });
    output.table(["position", "stream", "attempts", "behind", "reason"], rows)
}
