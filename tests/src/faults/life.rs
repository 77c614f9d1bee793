//! One life of the driver: it is started with a plan, and what it said goes into the ledger.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use super::{Fault, Id, Ledger, Plan, Shim};

/// How long a life may take; a hundredth of it is usual.
const LIFE_MAX: Duration = Duration::from_mins(2);

/// Where a store lives, and what is kept beside it.
#[derive(Debug)]
pub struct Surroundings {
    /// The folder of everything.
    pub dir: PathBuf,
}

impl Surroundings {
    /// Makes the folders.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir.join("root"))?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// What the driver works on, and faults hit.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    fn report(&self) -> PathBuf {
        self.dir.join("report")
    }

    /// An empty journal for the next life.
    fn journal(&self) -> io::Result<PathBuf> {
        let journal = self.dir.join("journal");
        if journal.exists() {
            fs::remove_dir_all(&journal)?;
        }
        fs::create_dir_all(&journal)?;
        Ok(journal)
    }
}

/// What a driver is to do.
#[derive(Debug)]
pub struct Life {
    /// The program.
    pub driver: PathBuf,
    /// Its number in the store.
    pub number: u64,
    /// Chooses settings and ending.
    pub seed: u64,
    /// How many steps before the ending.
    pub numbers: u64,
    /// The fault.
    pub plan: Plan,
    /// Whether the power goes at the end.
    pub cut: bool,
}

/// How a life ended.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    /// The fault that happened, with call and path.
    pub fault: Option<(String, String, String)>,
    /// Whether the power went.
    pub cut: bool,
    /// What it said that is no acknowledgement.
    pub notices: Vec<String>,
}

impl Life {
    /// Lets the driver live, and notes what it was told.
    ///
    /// # Errors
    /// What must never happen: a wrong answer, a failure without a fault, a crash of the driver.
    ///
    /// # Panics
    /// If processes cannot be started or files not written: nothing is tested then.
    pub fn run(&self, shim: &Shim, at: &Surroundings, ledger: &mut Ledger) -> Result<Ended, String> {
        let _ = fs::remove_file(at.report());
        let mut command = Command::new(&self.driver);
        command.arg(at.root()).args([self.number, self.seed, self.numbers].map(|number| number.to_string()));
        command.args((self.plan.fault == Fault::Flip).then_some("look")).args(self.cut.then_some("cut"));
        shim.load(&mut command, &self.plan, &at.root(), &at.journal().expect("a journal"), &at.report());
        let (Output { status, stdout, stderr }, in_time) = output(&mut command, &at.dir.join("stacks"));
        let report = fs::read_to_string(at.report()).unwrap_or_default();
        let mut ended = Ended::default();
        for line in report.lines().filter_map(|line| line.strip_prefix("fault ")) {
            let mut words = line.split(' ').map(str::to_owned);
            let fault = words.next().zip(words.next()).zip(words.next());
            let fault = fault.map(|((kind, call), path)| (kind, call, path));
            ended.cut |= fault.as_ref().is_some_and(|(kind, _, _)| kind == "cut");
            ended.fault = ended.fault.or(fault);
        }
        for line in String::from_utf8_lossy(&stdout).lines() {
            if !ledger.note(line)? && !matches!(line, "open" | "closed" | "rebuilt" | "end") {
                ended.notices.push(line.to_owned());
            }
        }
        let killed = ended.cut || ended.fault.as_ref().is_some_and(|(kind, _, _)| kind == "kill");
        let failed = ended.notices.iter().any(|notice| notice.starts_with("failed"));
        let problem = if !in_time {
            "the driver came to no end".to_owned()
        } else if let Some(wrong) = ended.notices.iter().find(|notice| notice.starts_with("wrong")) {
            wrong.clone()
        } else if failed && ended.fault.is_none() {
            "it failed without a fault".to_owned()
        } else if !killed && status.code().is_none() {
            format!("the driver crashed: {status}")
        } else if status.code() == Some(101) {
            "the driver panicked".to_owned()
        } else {
            return Ok(ended);
        };
        let stderr = String::from_utf8_lossy(&stderr);
        Err(format!("{problem}\nfault: {:?}\nnotices: {:#?}\n{stderr}", ended.fault, ended.notices))
    }
}

/// What a process said, and whether it ended by itself in time. Of one that did not, a file is told what its threads were at, if there
/// is a debugger.
fn output(command: &mut Command, stacks: &Path) -> (Output, bool) {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the driver starts");
    let (pid, (ended, end)) = (child.id().to_string(), channel::<()>());
    let stacks = stacks.to_owned();
    let watch = thread::spawn(move || {
        let in_time = end.recv_timeout(LIFE_MAX) != Err(RecvTimeoutError::Timeout);
        if !in_time {
            let seen = Command::new("gdb").args(["-p", &pid, "-batch", "-ex", "thread apply all bt"]).output();
            let _ = seen.and_then(|seen| fs::write(stacks, seen.stdout));
            let _ = Command::new("kill").args(["-KILL", &pid]).status();
        }
        in_time
    });
    let output = child.wait_with_output().expect("the driver can be waited for");
    drop(ended);
    (output, watch.join().expect("it only waits"))
}

impl Ledger {
    /// Notes a line of the driver, if it is one for the ledger.
    fn note(&mut self, line: &str) -> Result<bool, String> {
        let mut words = line.split(' ');
        let kind = words.next().unwrap_or_default();
        if kind == "note" {
            let note = words.next().map(str::to_owned).zip(words.next().and_then(Id::parse));
            let (name, id) = note.ok_or_else(|| format!("not a note: {line}"))?;
            self.notes.insert(name, id);
            return Ok(true);
        }
        if self.note_backup(kind, &mut words)? {
            return Ok(true);
        }
        if !matches!(kind, "ack" | "unknown" | "refused") {
            return Ok(false);
        }
        let id = words.next().and_then(Id::parse).ok_or_else(|| format!("not an append: {line}"))?;
        match kind {
            "ack" => {
                let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
                let places = number().zip(number()).ok_or_else(|| format!("no places: {line}"))?;
                match self.acked.insert(id, places) {
                    Some(before) if before != places => {
                        return Err(format!("{id} was acknowledged at {before:?} and at {places:?}"));
                    }
                    _ => {}
                }
            }
            "unknown" => _ = self.unknown.insert(id),
            _ => _ = self.refused.insert(id),
        }
        Ok(true)
    }

    /// Notes what was said of backups and of what was restored.
    fn note_backup<'a>(&mut self, kind: &str, words: &mut impl Iterator<Item = &'a str>) -> Result<bool, String> {
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).ok_or("not a number".to_owned());
        match kind {
            "backing-up" => self.before_backup = self.acked.values().map(|(_, last)| *last).max().unwrap_or_default(),
            "backup" => self.backups.push((number()?, number()?, self.before_backup)),
            "restored" => self.restored = Some(number()?),
            "discarding" => self.restored = None,
            _ => return Ok(false),
        }
        Ok(true)
    }
}
