//! Processes that measure, in turns, and what is made of their figures.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use benches::{Failure, Table, count};
use serde::Serialize;

use crate::{
    figures::Figures,
    settings::Settings,
    task::{CHILD, HOLDING, Task, Work},
};

/// The store that the others are compared with.
const OURS: &str = "annalist";

/// How long a process appends before it is killed.
const HOLD: Duration = Duration::from_secs(3);

/// A store and its folder, in which something is measured.
pub(crate) struct Place<'a> {
    /// Which store.
    pub peer: &'a str,
    /// Where its data is.
    pub folder: &'a Path,
    /// The group of processes that measures.
    pub group: Option<&'a Path>,
    /// Whether the store is a server in a process of its own.
    pub served: bool,
}

impl Place<'_> {
    /// Measures in a process of its own.
    pub(crate) fn measure(&self, work: Work) -> Result<Figures, Failure> {
        let output = self.command(work)?.output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        match text.lines().last() {
            Some(figures) if output.status.success() => Ok(serde_json::from_str(figures)?),
            _ => Err(format!("{} {work:?}: {}", self.peer, output.status).into()),
        }
    }

    /// Lets a process append for a while, and kills it.
    pub(crate) fn kill(&self) -> Result<(), Failure> {
        let mut child = self.command(Work::Hold)?.stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let is_holding = lines.any(|line| line.is_ok_and(|line| line == HOLDING));
        if is_holding {
            thread::sleep(HOLD);
        }
        // A process that has ended cannot be killed, and then there was no crash to measure.
        let killed = child.kill();
        child.wait()?;
        if is_holding { Ok(killed?) } else { Err(format!("{} did not append", self.peer).into()) }
    }

    fn command(&self, work: Work) -> Result<Command, Failure> {
        let (folder, group): (PathBuf, Option<PathBuf>) = (self.folder.to_owned(), self.group.map(Path::to_owned));
        let (peer, served) = (self.peer.to_owned(), self.served);
        let task = serde_json::to_string(&Task { peer, served, folder, group, work })?;
        let mut command = Command::new(env::current_exe()?);
        command.args([CHILD, &task]).stderr(Stdio::inherit());
        Ok(command)
    }
}

/// The rows of one group: printed as they come, and written to a file at the end.
pub(crate) struct Report {
    table: Table,
    better: Better,
    columns: &'static [&'static str],
    records: Vec<Record>,
}

/// What the last column compares.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Better {
    /// A figure of which more is better.
    More(&'static str),
    /// A figure of which less is better.
    Less(&'static str),
}

#[derive(Clone, Debug, Serialize)]
struct Record {
    row: String,
    peer: String,
    median: Figures,
    rounds: Vec<Figures>,
}

impl Report {
    /// Prints the head of a table. Its last column says by how much Annalist is better than the store of that line.
    pub(crate) fn new(name: &'static str, better: Better, columns: &'static [&'static str]) -> Self {
        println!();
        let heads: Vec<&str> =
            [name, "         store"].into_iter().chain(columns.iter().copied()).chain(["Annalist ×"]).collect();
        Self { table: Table::new(&heads), better, columns, records: Vec::new() }
    }

    /// Measures one row: every store in turn, as many rounds as are asked for. A store that fails is reported and left out of
    /// the rest of the row.
    pub(crate) fn row<'a>(
        &mut self,
        settings: &Settings,
        row: &str,
        peers: &[&'a str],
        mut measure: impl FnMut(&'a str) -> Result<Figures, Failure>,
    ) {
        let mut rounds: Vec<(&str, Vec<Figures>)> = peers.iter().map(|peer| (*peer, Vec::new())).collect();
        for _ in 0..settings.rounds {
            rounds.retain_mut(|(peer, figures)| match measure(peer) {
                Ok(measured) => {
                    figures.push(measured);
                    true
                }
                Err(error) => {
                    eprintln!("{row}, {peer}: {error}");
                    false
                }
            });
        }
        let ours = rounds.iter().find(|(peer, _)| *peer == OURS).map(|(_, figures)| Figures::median(figures));
        for (peer, figures) in rounds {
            let median = Figures::median(&figures);
            let ratio = ours.as_ref().filter(|_| peer != OURS).and_then(|ours| self.better.ratio(ours, &median));
            let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), count);
            let cells = [row.to_owned(), peer.to_owned()];
            let cells = cells.into_iter().chain(self.columns.iter().map(|column| shown(median.get(column))));
            let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
            self.table.row(&cells.chain([ratio]).collect::<Vec<_>>());
            self.records.push(Record { row: row.to_owned(), peer: peer.to_owned(), median, rounds: figures });
        }
    }

    /// Writes the figures of all rounds to a file.
    pub(crate) fn save(&self, settings: &Settings, name: &str) -> Result<(), Failure> {
        fs::write(settings.results.join(format!("{name}.json")), serde_json::to_vec_pretty(&self.records)?)?;
        Ok(())
    }
}

impl Better {
    fn ratio(self, ours: &Figures, theirs: &Figures) -> Option<f64> {
        match self {
            Self::More(name) => Some(ours.get(name)? / theirs.get(name)?),
            Self::Less(name) => Some(theirs.get(name)? / ours.get(name)?),
        }
    }
}
