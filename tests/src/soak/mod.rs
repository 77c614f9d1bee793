//! Many clients on one server for a long time, which is killed, ended and started again meanwhile: writers with keys, readers,
//! subscribers of whom some are slow, members of consumer groups that refuse, leave and come back. At the end it is audited that
//! nothing acknowledged is lost and that every subscriber and every group saw every event of its query, each stream in order.

mod clients;
mod costs;
mod ledger;
mod member;
mod memory;
mod server;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use annalist_core::{Cursor, Delivery, EventStore as _, Position, Query};
use annalist_store::Store;
use tokio::{sync::watch, task::JoinSet, time::Instant};

use clients::{follow, read, write};
pub use costs::costs;
use ledger::{Goal, InOrder, Ledger};
use member::{Group, work};
pub use memory::{Growth, Sample};
use server::Restarted;

/// What is wrong.
type Wrong = String;

/// Categories of streams: followers and groups take one each.
const CATEGORIES: usize = 8;

/// How long, how many, how hard.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program of the server, as [`crate::subjects::ServerProcess`] takes it.
    pub program: PathBuf,
    /// The folder of the store; it is made.
    pub data: PathBuf,
    /// How long events are appended. In the first half the server is killed, in the second it is left alone.
    pub duration: Duration,
    /// How many clients there are, each with a connection of its own; at least 20.
    pub connections: usize,
    /// About how many events are appended in a second by all of them.
    pub events_per_second: u32,
    /// How often the server is killed; each third time it is told to end instead.
    pub kill_every: Duration,
    /// How often its memory is looked at.
    pub sample_every: Duration,
}

/// What happened.
#[derive(Clone, Debug)]
pub struct Report {
    /// Events that were acknowledged, all of which are there.
    pub events: u64,
    /// Appends that had no answer and were repeated with their key by the writers, beyond what the client repeats by itself.
    pub repeated: u64,
    /// How often the server was killed.
    pub kills: u32,
    /// How often it was told to end.
    pub ends: u32,
    /// Its memory over time.
    pub memory: Vec<Sample>,
}

/// Who does what on how many connections.
struct Roles {
    writers: usize,
    readers: usize,
    followers: usize,
    members: usize,
}

impl Roles {
    fn of(connections: usize) -> Self {
        let (writers, readers, members) = (connections * 2 / 5, connections / 5, connections / 5);
        Self { writers, readers, members, followers: connections - writers - readers - members }
    }
}

/// Runs it. `say` is told now and then how it stands.
///
/// # Errors
/// What was found to be wrong.
pub async fn run(options: &Options, say: impl Fn(&str)) -> Result<Report, Wrong> {
    let roles = Roles::of(options.connections);
    let mut server = Restarted::start(&options.program, &options.data);
    let ledger = Arc::new(Ledger::new(roles.writers));
    let (stop, stopped) = watch::channel(false);
    let (finish, goal) = watch::channel(None::<Arc<Goal>>);
    let (mut writers, mut others) = (JoinSet::new(), JoinSet::new());
    let share = u32::try_from(roles.writers.max(1)).map_err(|_| "there are too many writers")?;
    let pause = Duration::from_secs(1) * share / options.events_per_second.max(1);
    for writer in 0..roles.writers {
        writers.spawn(write(server.client()?, writer, Arc::clone(&ledger), pause, stopped.clone()));
    }
    for reader in 0..roles.readers {
        others.spawn(read(server.client()?, reader, Arc::clone(&ledger), goal.clone()));
    }
    for follower in 0..roles.followers {
        others.spawn(follow(server.client()?, follower, goal.clone()));
    }
    let groups: Vec<_> = (0..CATEGORIES.min(roles.members)).map(|category| Arc::new(Group::new(category))).collect();
    for (member, group) in (0..roles.members).zip(groups.iter().cycle()) {
        others.spawn(work(server.client()?, member, Arc::clone(group), goal.clone()));
    }
    let mut report = load(options, &mut server, &ledger, &mut others, &say).await?;
    stop.send_replace(true);
    while let Some(repeated) = writers.join_next().await {
        report.repeated += ended(repeated)?;
    }
    let written = Arc::new(ledger.goal());
    report.events = written.events(None);
    say(&format!("{} events were acknowledged; waiting for who has not seen all of them", report.events));
    finish.send_replace(Some(Arc::clone(&written)));
    while let Some(one) = others.join_next().await {
        ended(one)?;
    }
    say("all have; the server is killed once more, and everything is looked at again");
    server.kill();
    settled(&mut server, groups.len()).await?;
    whole(&mut server, &written).await?;
    server.close();
    sound(&options.data).await?;
    Ok(report)
}

/// Lets them work, and the server die and rise.
async fn load(
    options: &Options,
    server: &mut Restarted,
    ledger: &Ledger,
    others: &mut JoinSet<Result<(), Wrong>>,
    say: &impl Fn(&str),
) -> Result<Report, Wrong> {
    let began = Instant::now();
    let mut report = Report { events: 0, repeated: 0, kills: 0, ends: 0, memory: Vec::new() };
    let (mut next_kill, mut next_sample) = (options.kill_every, Duration::ZERO);
    while began.elapsed() < options.duration || report.kills == 0 {
        if began.elapsed() >= next_sample {
            let sample = Sample::of(server.id(), began.elapsed(), ledger.goal().events(None));
            say(&sample.to_string());
            report.memory.push(sample);
            next_sample += options.sample_every;
        }
        let may_die = report.kills == 0 || began.elapsed() < options.duration / 2;
        if began.elapsed() >= next_kill && may_die {
            if (report.kills + report.ends) % 3 == 2 {
                server.end();
                report.ends += 1;
            } else {
                server.kill();
                report.kills += 1;
            }
            next_kill = began.elapsed() + options.kill_every;
        }
        tokio::select! {
            Some(one) = others.join_next() => return Err(ended(one).err().unwrap_or_else(|| "one ended early".to_owned())),
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
    }
    Ok(report)
}

fn ended<T>(task: Result<Result<T, Wrong>, tokio::task::JoinError>) -> Result<T, Wrong> {
    task.unwrap_or_else(|error| Err(error.to_string()))
}

/// Waits until the groups have nothing open; nothing of them may be parked.
async fn settled(server: &mut Restarted, groups: usize) -> Result<(), Wrong> {
    let store = server.client()?;
    loop {
        let all = store.groups().await.map_err(|error| error.to_string())?;
        if let Some(group) = all.iter().find(|group| group.parked > 0) {
            return Err(format!("the group {} has parked {} events", group.name, group.parked));
        }
        if all.len() != groups {
            return Err(format!("there are {} groups, not {groups}", all.len()));
        }
        // What was settled just before the server died comes again, to members.
        let left: Vec<_> = all.iter().filter(|group| group.open > 0 || group.lag() > 0).collect();
        let Some(group) = left.first() else { return Ok(()) };
        member::settle(&store, &group.name, &group.query).await?;
    }
}

/// Reads the whole log again.
async fn whole(server: &mut Restarted, written: &Goal) -> Result<(), Wrong> {
    let mut followed =
        server.client()?.subscribe(Query::all(), Cursor::START).await.map_err(|error| error.to_string())?;
    let mut seen = InOrder::default();
    while seen.count() < written.events(None) {
        if let Delivery::Events(events) = followed.next().await.map_err(|error| error.to_string())? {
            events.iter().try_for_each(|event| seen.see(event))?;
        }
    }
    written.is_met_by(&seen, None)
}

/// The store itself, without a server.
async fn sound(data: &Path) -> Result<(), Wrong> {
    let data = data.to_owned();
    let opened = tokio::task::spawn_blocking(move || Store::open(data)).await;
    let store = opened.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    let verified = store.verify(Position::ZERO, |_| std::ops::ControlFlow::Continue(())).await;
    let verified = verified.map_err(|error| error.to_string())?;
    if !verified.is_sound() || !verified.is_complete() {
        return Err(format!("the store is not sound: {:?}", verified.findings));
    }
    store.close().await.map_err(|error| error.to_string())
}
