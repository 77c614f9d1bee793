//! What a client costs the server in memory, by what it does.

use std::{fmt, time::Duration};

use annalist_client::{GroupOptions, RemoteStore};
use annalist_core::{
    Append, Cursor, Delivery, EventId, EventStore as _, EventType, Expected, NewEvent, Query, Read, Version,
};
use tokio::time::sleep;

use super::{
    CATEGORIES, Options, Sample, Wrong,
    ledger::{category, payload, stream, stream_id},
    server::Restarted,
};

/// What those who are slow have before them: several times what is sent ahead of them.
const EVENTS: u64 = 64 * 1024;
/// How many of them are appended at once.
const TOGETHER: u64 = 1024;
/// How long it takes until everything is sent that will be.
const SETTLES: Duration = Duration::from_secs(3);

/// What a client does.
#[derive(Clone, Copy, Debug)]
enum Does {
    Connects,
    Appends,
    Reads,
    /// And has all there is.
    Follows,
    /// And takes nothing of it.
    FollowsAll,
    FollowsCategory,
    JoinsGroup,
}

impl Does {
    const ALL: [Self; 7] = [
        Self::Connects,
        Self::Appends,
        Self::Reads,
        Self::Follows,
        Self::FollowsAll,
        Self::FollowsCategory,
        Self::JoinsGroup,
    ];
}

impl fmt::Display for Does {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connects => "has connected",
            Self::Appends => "has appended",
            Self::Reads => "has read a stream",
            Self::Follows => "follows, and is caught up",
            Self::FollowsAll => "follows everything, and takes nothing",
            Self::FollowsCategory => "follows a category, and takes nothing",
            Self::JoinsGroup => "is a member of a group",
        })
    }
}

/// Has so many clients do one thing, each with connections of its own, on a server of its own for each thing, and says what that server's
/// own memory grew by for each client.
///
/// # Errors
/// What went wrong.
pub async fn costs(options: &Options, say: impl Fn(&str)) -> Result<(), Wrong> {
    let mut server = Restarted::start(&options.program, &options.data);
    fill(&server.client()?).await?;
    let count = options.connections;
    say(&format!("of {count} clients each, KiB of the server's own memory:"));
    for does in Does::ALL {
        server.end();
        // Whatever is made at the first time is made for the first client.
        let first = act(&server.client()?, does, 0).await?;
        sleep(SETTLES).await;
        let own_kib = || Sample::of(server.id(), Duration::ZERO, 0).own_kib;
        let before = own_kib();
        let mut acted = vec![first];
        for client in 1..=count {
            acted.push(act(&server.client()?, does, client).await?);
        }
        sleep(SETTLES).await;
        let after = own_kib();
        #[expect(clippy::cast_precision_loss, reason = "it is rounded anyway")]
        let each = after.saturating_sub(before) as f64 / count as f64;
        say(&format!("{:<40} {each:>8.1} each: {before:>7}, then {after:>7}", does.to_string()));
    }
    server.close();
    Ok(())
}

/// What must not end before the memory was looked at.
type Kept = Box<dyn std::any::Any>;

async fn act(store: &RemoteStore, does: Does, client: usize) -> Result<Kept, Wrong> {
    let wrong = |error: annalist_core::StoreError| error.to_string();
    let queries = [Query::all(), Query::category(category(client % CATEGORIES))];
    let [all, of_one] = queries;
    match does {
        Does::Connects => _ = store.head().await.map_err(wrong)?,
        Does::Appends => append(store, client, EVENTS + 1, 1).await?,
        Does::Reads => {
            let read = Read::stream(stream_id(client % CATEGORIES), Version::ZERO).limit(100);
            _ = store.read(read).await.map_err(wrong)?.next().await.map_err(wrong)?;
        }
        Does::Follows => {
            let head = store.head().await.map_err(wrong)?;
            let mut followed = store.subscribe(of_one, head).await.map_err(wrong)?;
            while !matches!(followed.next().await.map_err(wrong)?, Delivery::CaughtUp(_)) {}
            return Ok(Box::new((store.clone(), followed)));
        }
        Does::FollowsAll | Does::FollowsCategory => {
            let query = if matches!(does, Does::FollowsAll) { all } else { of_one };
            let followed = store.subscribe(query, Cursor::START).await.map_err(wrong)?;
            return Ok(Box::new((store.clone(), followed)));
        }
        Does::JoinsGroup => {
            let name = format!("costs-{}", client % CATEGORIES);
            let mut member = store.group(&name, of_one, &GroupOptions::default());
            // The others of its group may have everything that there is.
            let first = tokio::time::timeout(SETTLES / 100, member.next()).await;
            return Ok(Box::new((store.clone(), member, first)));
        }
    }
    Ok(Box::new(store.clone()))
}

async fn fill(store: &RemoteStore) -> Result<(), Wrong> {
    for round in 0..EVENTS / TOGETHER {
        let writer = usize::try_from(round).unwrap_or_default() % CATEGORIES;
        append(store, writer, round * TOGETHER, TOGETHER).await?;
    }
    Ok(())
}

async fn append(store: &RemoteStore, writer: usize, first: u64, count: u64) -> Result<(), Wrong> {
    let event_type = EventType::new("written").expect("a word");
    let name = stream(writer);
    let events = (first..first + count)
        .map(|number| NewEvent::new(EventId::generate(), event_type.clone(), payload(&name, number)));
    let append = Append::new().events(stream_id(writer), Expected::Any, events);
    store.append(append).await.map(drop).map_err(|error| error.to_string())
}
