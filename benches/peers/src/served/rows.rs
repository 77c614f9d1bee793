//! The rows of the group `server`.

use benches::{Failure, Load};

use super::SERVERS;
use crate::{
    batch::How,
    figures::{CLIENT_CPU, Figures, OWN, P50, P99, P999, PEAK, RATE, READS, SERVER_CPU, SIZE},
    fill::{Log, What},
    groups::Logs,
    rounds::{Better, Place, Report},
    settings::Settings,
    task::Work,
};

/// Clients that append, and events of each append.
const LOADS: [Load; 5] = [
    Load { writers: 1, events: 1 },
    Load { writers: 16, events: 1 },
    Load { writers: 64, events: 1 },
    Load { writers: 256, events: 1 },
    Load { writers: 64, events: 100 },
];

/// Clients that append under a condition.
const CONDITIONAL: u64 = 64;

const READERS: [u64; 2] = [1, 16];

/// Appends per second while a subscriber follows: few enough that none waits for another.
const FOLLOWED: u64 = 200;

/// Measures them.
pub(crate) fn rows(settings: &Settings) -> Result<(), Failure> {
    append(settings)?;
    follow(settings)?;
    read(settings)?;
    replay(settings)
}

fn append(settings: &Settings) -> Result<(), Failure> {
    let mut report = Report::new(
        "server: clients x events",
        Better::More(RATE),
        &[RATE, P50, P99, P999, PEAK, OWN, CLIENT_CPU, SERVER_CPU],
    );
    let loads = LOADS.map(|load| (load.to_string(), load, How::Streams));
    let conditional = Load { writers: CONDITIONAL, events: 1 };
    for (row, Load { writers, events }, how) in
        loads.into_iter().chain([(format!("{conditional} new tag"), conditional, How::NewTag)])
    {
        let work = Work::Append { writers, events, how, seconds: settings.seconds };
        if settings.wants(&row) {
            report.row(settings, &row, &settings.peers(&SERVERS), |peer| once(settings, peer, work));
        }
    }
    report.save(settings, "server-append")
}

fn follow(settings: &Settings) -> Result<(), Failure> {
    let row = format!("append to subscriber, {FOLLOWED}/s");
    if !settings.wants(&row) {
        return Ok(());
    }
    let mut report = Report::new("server: latency", Better::Less(P50), &[P50, P99, P999, PEAK, OWN]);
    let work = Work::Follow { rate: FOLLOWED, seconds: settings.seconds };
    report.row(settings, &row, &settings.peers(&SERVERS), |peer| once(settings, peer, work));
    report.save(settings, "server-follow")
}

/// Measures in a fresh folder.
fn once(settings: &Settings, peer: &str, work: Work) -> Result<Figures, Failure> {
    let folder = settings.folder(peer)?;
    Place { peer, folder: folder.path(), group: None, served: true }.measure(work)
}

fn read(settings: &Settings) -> Result<(), Failure> {
    let rows = READERS.map(|readers| (format!("read by tag, 10 events, {readers} clients"), readers));
    if !rows.iter().any(|(row, _)| settings.wants(row)) {
        return Ok(());
    }
    let events = settings.read_events;
    let mut fills = Report::new("filling the log to read", Better::More(RATE), &[RATE, SIZE, PEAK, OWN]);
    let logs = Logs::fill(settings, &settings.peers(&SERVERS), true, (Log::Spread, events), &mut fills);
    let mut report = Report::new(
        "server: reads",
        Better::More(READS),
        &[READS, RATE, P50, P99, P999, PEAK, OWN, CLIENT_CPU, SERVER_CPU],
    );
    for (row, readers) in rows {
        let work = Work::Read { what: What::Tag(10), readers, events, seconds: settings.seconds };
        if settings.wants(&row) {
            report.row(settings, &row, &logs.peers(), |peer| logs.place(peer)?.measure(work));
        }
    }
    fills.save(settings, "server-read-fill")?;
    report.save(settings, "server-read")
}

/// What a log weighs, and how fast it is replayed.
fn replay(settings: &Settings) -> Result<(), Failure> {
    for &events in &settings.log_events {
        let row = format!("replay, {events} events");
        if settings.wants(&row) {
            let mut fills = Report::new("size", Better::Less(SIZE), &[SIZE, RATE, PEAK, OWN]);
            let logs = Logs::fill(settings, &settings.peers(&SERVERS), true, (Log::Streams, events), &mut fills);
            fills.save(settings, &format!("server-size-{events}"))?;
            let mut report = Report::new("server: replay", Better::More(RATE), &[RATE, PEAK, OWN]);
            report.row(settings, &row, &logs.peers(), |peer| logs.place(peer)?.measure(Work::Replay { events }));
            report.save(settings, &format!("server-replay-{events}"))?;
        }
    }
    Ok(())
}
