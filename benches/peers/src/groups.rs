//! The rows, group by group.

use benches::{Failure, LOADS, Load, describe_machine};

#[cfg(feature = "servers")]
use crate::served::rows as server;
use crate::{
    batch::How,
    figures::{Figures, OPEN, P50, P99, P999, PEAK, RATE, READS, READY, SIZE},
    fill::{Log, What},
    memory,
    rounds::{Better, Place, Report},
    settings::{Folder, Settings},
    task::Work,
};

/// Stores whose events have streams, or tags that serve as such.
const ALL: [&str; 5] = ["annalist", "tephra", "sqlite", "umadb", "sierradb"];

/// Stores that find events by tag and take conditions on them.
const TAGS: [&str; 4] = ["annalist", "tephra", "sqlite", "umadb"];

/// `SierraDB` reads back every event when it opens: with more events than this it would take the whole run for itself.
const SIERRADB_EVENTS_MAX: u64 = 1_000_000;

/// What else a lone writer is compared with.
const LONE: [&str; 3] = ["sqlite-direct", "disk-extend", "disk-overwrite"];

const CONDITION_WRITERS: [u64; 3] = [1, 64, 256];

const WHATS: [(&str, What); 4] = [
    ("tag, 10 events", What::Tag(10)),
    ("tag, 100 events", What::Tag(100)),
    ("stream, 10 events", What::Stream(10)),
    ("stream, 100 events", What::Stream(100)),
];

const READERS: [u64; 2] = [1, 16];

/// Measures the groups that are asked for.
pub(crate) fn run(settings: &Settings) -> Result<(), Failure> {
    println!("\nmachine: {}", describe_machine(settings.dir()));
    println!("medians of {} rounds of {} s", settings.rounds, settings.seconds);
    for (group, measure) in [
        ("append", append as fn(&Settings) -> Result<(), Failure>),
        ("condition", condition),
        ("read", |settings| read(settings, "read", settings.read_events, None)),
        ("cold", |settings| read(settings, "cold", settings.cold_events, Some(settings.cold_bytes))),
        ("log", log),
        ("server", server),
    ] {
        if settings.wants_group(group) {
            measure(settings)?;
        }
    }
    Ok(())
}

fn append(settings: &Settings) -> Result<(), Failure> {
    let mut report = Report::new("append: writers x events", Better::More(RATE), &[RATE, P50, P99, P999, PEAK]);
    for Load { writers, events } in LOADS {
        let row = format!("{writers}x{events}");
        let mut peers = settings.peers(&ALL);
        if (writers, events) == (1, 1) {
            peers.extend(settings.peers(&LONE));
        }
        let work = Work::Append { writers, events, how: How::Streams, seconds: settings.seconds };
        if settings.wants(&row) {
            report.row(settings, &row, &peers, |peer| once(settings, peer, work));
        }
    }
    report.save(settings, "append")
}

fn condition(settings: &Settings) -> Result<(), Failure> {
    let mut report = Report::new("condition: writers x events", Better::More(RATE), &[RATE, P50, P99, P999, PEAK]);
    for writers in CONDITION_WRITERS {
        for (name, how) in [("tagged", How::Tagged), ("new tag", How::NewTag), ("keyed", How::Keyed)] {
            let row = format!("{writers}x1 {name}");
            let work = Work::Append { writers, events: 1, how, seconds: settings.seconds };
            if settings.wants(&row) {
                report.row(settings, &row, &settings.peers(&TAGS), |peer| once(settings, peer, work));
            }
        }
    }
    report.save(settings, "condition")
}

/// Measures in a fresh folder.
fn once(settings: &Settings, peer: &str, work: Work) -> Result<Figures, Failure> {
    let folder = settings.folder(peer)?;
    Place { peer, folder: folder.path(), group: None, served: false }.measure(work)
}

/// Folders with filled logs, one for each store that could fill it.
pub(crate) struct Logs<'a> {
    folders: Vec<(&'a str, Folder)>,
    served: bool,
}

impl<'a> Logs<'a> {
    /// Fills them; what that took goes into the report.
    pub(crate) fn fill(
        settings: &Settings,
        peers: &[&'a str],
        served: bool,
        (log, events): (Log, u64),
        report: &mut Report,
    ) -> Self {
        let mut folders = Vec::new();
        let mut once = settings.clone();
        once.rounds = 1;
        report.row(&once, &format!("fill, {events} events"), peers, |peer| {
            let folder = settings.folder(peer)?;
            let place = Place { peer, folder: folder.path(), group: None, served };
            let figures = place.measure(Work::Fill { log, events })?;
            #[expect(clippy::cast_precision_loss, reason = "figures for people")]
            let bytes = memory::disk_bytes(folder.path())? as f64 / events as f64;
            folders.push((peer, folder));
            Ok(figures.with(SIZE, bytes))
        });
        Self { folders, served }
    }

    pub(crate) fn peers(&self) -> Vec<&'a str> {
        self.folders.iter().map(|(peer, _)| *peer).collect()
    }

    pub(crate) fn place(&self, peer: &'a str) -> Result<Place<'_>, Failure> {
        let folder = self.folders.iter().find(|(name, _)| *name == peer).ok_or("its log could not be filled")?;
        Ok(Place { peer, folder: folder.1.path(), group: None, served: self.served })
    }
}

/// Reads by tag and by stream; cold when the processes that read may use only so much memory.
fn read(settings: &Settings, group: &'static str, events: u64, limit: Option<u64>) -> Result<(), Failure> {
    let mut fills = Report::new("filling the log to read", Better::More(RATE), &[RATE, SIZE, PEAK]);
    let peers: &[&str] = if limit.is_some() { &TAGS } else { &ALL };
    let logs = Logs::fill(settings, &settings.peers(peers), false, (Log::Spread, events), &mut fills);
    let mut report = Report::new(group, Better::More(READS), &[READS, RATE, P50, P99, P999, PEAK]);
    for (name, what) in WHATS {
        for readers in READERS {
            let row = format!("{name}, {readers} readers");
            let mut peers = logs.peers();
            peers.retain(|peer| matches!(what, What::Stream(_)) || TAGS.contains(peer));
            let work = Work::Read { what, readers, events, seconds: settings.seconds };
            if settings.wants(&row) {
                report.row(settings, &row, &peers, |peer| {
                    let limited = limit.map(memory::Group::new).transpose()?;
                    let place = logs.place(peer)?;
                    Place { group: limited.as_ref().map(memory::Group::path), ..place }.measure(work)
                });
            }
        }
    }
    fills.save(settings, &format!("{group}-fill"))?;
    report.save(settings, group)
}

/// Logs of different sizes: what they weigh, how fast they are replayed, how long they take to open.
fn log(settings: &Settings) -> Result<(), Failure> {
    for &events in &settings.log_events {
        let mut peers = settings.peers(&ALL);
        peers.retain(|peer| *peer != "sierradb" || events <= SIERRADB_EVENTS_MAX);
        let mut fills = Report::new("size", Better::Less(SIZE), &[SIZE, RATE, PEAK]);
        let logs = Logs::fill(settings, &peers, false, (Log::Streams, events), &mut fills);
        fills.save(settings, &format!("size-{events}"))?;

        let row = format!("replay, {events} events");
        if settings.wants(&row) {
            let mut report = Report::new("replay", Better::More(RATE), &[RATE, PEAK]);
            report.row(settings, &row, &logs.peers(), |peer| logs.place(peer)?.measure(Work::Replay { events }));
            report.save(settings, &format!("replay-{events}"))?;
        }

        let mut report = Report::new("open", Better::Less(OPEN), &[OPEN, READY, PEAK]);
        for (name, is_killed) in [("closed", false), ("killed", true)] {
            let row = format!("open, {events} events, {name}");
            if settings.wants(&row) {
                report.row(settings, &row, &logs.peers(), |peer| {
                    let place = logs.place(peer)?;
                    if is_killed {
                        place.kill()?;
                    }
                    place.measure(Work::Open)
                });
            }
        }
        report.save(settings, &format!("open-{events}"))?;
    }
    Ok(())
}

/// Compiled without the servers.
#[cfg(not(feature = "servers"))]
fn server(settings: &Settings) -> Result<(), Failure> {
    if settings.names_group("server") {
        return Err("this program was built without the servers; use `make peer-servers`".into());
    }
    Ok(())
}
