//! What one process does: open one store, measure one thing, print the figures, end.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use benches::{Failure, Load};
use serde::{Deserialize, Serialize};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::{
    batch::{How, Writer},
    figures::{Figures, OPEN, RATE, READY},
    fill::{self, Log, What},
    load, memory,
    peer::Peer,
    reading,
    stores::{Annalist, SierraDb, Sqlite, SqliteDirect, Tephra, UmaDb, measure_disk},
};

/// The first argument of a process that carries out a task; the second is the task.
pub(crate) const CHILD: &str = "--task";

/// What a process prints once it may be killed.
pub(crate) const HOLDING: &str = "holding";

/// A store, its folder, and what to do with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    /// Which store: a name of [`carry_out`].
    pub peer: String,
    /// Whether it is a server in a process of its own.
    pub served: bool,
    /// Where its data is.
    pub folder: PathBuf,
    /// The group of processes that it joins first, with the page cache emptied; see [`memory::Group`].
    pub group: Option<PathBuf>,
    /// What is measured.
    pub work: Work,
}

/// What is measured.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Work {
    /// Appends, for so long.
    Append { writers: u64, events: usize, how: How, seconds: f64 },
    /// Filling a new log.
    Fill { log: Log, events: u64 },
    /// Appending until the process is killed.
    Hold,
    /// Opening, and the first append after it.
    Open,
    /// Reading a spread log of so many events.
    Read { what: What, readers: u64, events: u64, seconds: f64 },
    /// Replaying a log of at least so many events.
    Replay { events: u64 },
    /// Appending so many events per second while a subscriber follows.
    Follow { rate: u64, seconds: f64 },
}

/// Carries out a task and prints its figures.
pub(crate) fn carry_out(task: &Task) -> Result<(), Failure> {
    if let Some(group) = &task.group {
        memory::forget(&task.folder)?;
        memory::join(group)?;
    } else if matches!(task.work, Work::Read { .. } | Work::Replay { .. }) {
        memory::warm(&task.folder)?;
    }
    let figures = match (task.peer.as_str(), task.work) {
        #[cfg(feature = "servers")]
        _ if task.served => crate::served::measure(task)?,
        ("annalist", work) => measure::<Annalist>(task, work)?,
        ("tephra", work) => measure::<Tephra>(task, work)?,
        ("sqlite", work) => measure::<Sqlite>(task, work)?,
        ("sqlite-direct", work) => measure::<SqliteDirect>(task, work)?,
        ("umadb", work) => measure::<UmaDb>(task, work)?,
        ("sierradb", work) => measure::<SierraDb>(task, work)?,
        (disk @ ("disk-extend" | "disk-overwrite"), Work::Append { seconds, .. }) => {
            measure_disk(&task.folder, disk == "disk-overwrite", Duration::from_secs_f64(seconds))?
        }
        (peer, work) => return Err(format!("{peer} cannot do {work:?}").into()),
    };
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}

fn measure<P: Peer>(task: &Task, work: Work) -> Result<Figures, Failure> {
    measure_on::<P>(&benches::runtime()?, task, work)
}

/// Opens a store, measures one thing, closes it.
pub(crate) fn measure_on<P: Peer>(runtime: &Runtime, task: &Task, work: Work) -> Result<Figures, Failure> {
    runtime.block_on(async {
        let begin = Instant::now();
        let peer = Arc::new(P::open(&task.folder).await?);
        let open = begin.elapsed();
        let figures = match work {
            Work::Append { writers, events, how, seconds } => {
                load::append(&peer, Load { writers, events }, how, seconds).await?
            }
            Work::Fill { log, events } => {
                fill::fill(&peer, log, events).await?;
                #[expect(clippy::cast_precision_loss, reason = "figures for people")]
                let rate = events as f64 / begin.elapsed().saturating_sub(open).as_secs_f64();
                Figures::default().with(RATE, rate)
            }
            Work::Hold => hold(&peer).await?,
            Work::Open => {
                // A writer that no log has, so that its stream is new.
                peer.append(Writer::new(u64::from(std::process::id()) << 20, How::Streams)?.next(1)).await?;
                Figures::default().with(READY, millis(begin.elapsed()))
            }
            Work::Read { what, readers, events, seconds } => {
                reading::read(&peer, what, readers, events, seconds).await?
            }
            Work::Replay { events } => reading::replay(&peer, events).await?,
            Work::Follow { .. } => return Err("only servers are followed".into()),
        };
        let figures = figures.with(OPEN, millis(open)).of_process(peer.process());
        let peer = Arc::into_inner(peer).ok_or("something still uses the store")?;
        peer.close().await?;
        Ok(figures)
    })
}

/// Sixteen writers of one event at a time; ends when the process is killed.
async fn hold<P: Peer>(peer: &Arc<P>) -> Result<Figures, Failure> {
    let mut writers = JoinSet::new();
    let first = u64::from(std::process::id()) << 20;
    for number in first..first + 16 {
        let (peer, mut writer) = (Arc::clone(peer), Writer::new(number, How::Streams)?);
        writers.spawn(async move {
            loop {
                if let Err(error) = peer.append(writer.next(1)).await {
                    return error;
                }
            }
        });
    }
    println!("{HOLDING}");
    match writers.join_next().await {
        Some(failed) => Err(failed?),
        None => Err("there are no writers".into()),
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
