//! The crash matrix: every kind of fault at every step that changes something, many lives long.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use super::{Fault, Ledger, Life, Plan, Random, Shim, Surroundings, audit};

/// Lives of one store before a new one begins: as many as an audit of all that they left stays quick.
const LIVES_MAX: u64 = 12;

/// Which calls, and which files, a life aims at: whatever changes something half of the time.
const AIMS: [(&str, &str); 23] = [
    ("write", ".log"),
    ("sync", ".log"),
    ("create", ".log"),
    ("rename", ".log"),
    ("unlink", ".log"),
    ("write", ".sst"),
    ("sync", ".sst"),
    ("create", ".sst"),
    ("unlink", ".sst"),
    ("link", "index/"),
    ("write,sync,create", "index/"),
    ("write", "MANIFEST"),
    ("sync,create", "MANIFEST"),
    ("rename", "CURRENT"),
    ("write,sync,create,rename", "OPTIONS"),
    ("syncdir", ""),
    ("mkdir,syncdir", ""),
    ("write,sync,create,rename", "STORE"),
    ("write,sync,create,rename,unlink", "view/"),
    ("sync,syncdir", ""),
    ("write,sync,create,rename,link,mkdir,syncdir", "backup"),
    ("unlink", "backup"),
    ("write,sync,create,rename,mkdir,syncdir,unlink", "restored"),
];

/// One store after another, each from a seed of its own.
#[derive(Debug)]
pub struct Matrix {
    /// The program that meets the faults.
    pub driver: PathBuf,
    /// The library.
    pub shim: Shim,
    /// Where stores are made.
    pub dir: PathBuf,
}

/// What has been done.
#[derive(Debug, Default)]
pub struct Tally {
    /// Stores.
    pub stores: u64,
    /// Lives of drivers.
    pub lives: u64,
    /// Audits.
    pub audits: u64,
    /// Acknowledged appends that were audited.
    pub acked: u64,
    /// Which fault happened to which call on which kind of file, and how often.
    pub faults: BTreeMap<(String, String, String), u64>,
    /// Damage that a wrong bit in a read would have been, and was reported.
    pub detected: u64,
}

impl Matrix {
    /// All lives of the store of a seed.
    ///
    /// # Errors
    /// What does not hold, and how to repeat it. The folder is left as it is.
    ///
    /// # Panics
    /// If folders cannot be made.
    pub async fn store(&self, seed: u64, tally: &mut Tally) -> Result<(), String> {
        let dir = self.dir.join(format!("store-{seed}"));
        let at = Surroundings::new(&dir).expect("a folder can be made");
        let mut random = Random::new(seed);
        let mut ledger = Ledger::default();
        tally.stores += 1;
        for number in 0..=random.below(LIVES_MAX) {
            let life = self.life(&mut random, number);
            let context = |error: String| {
                format!(
                    "{error}\nlife {number} of the store of seed {seed}, with {} (cut at its end: {})\nits folder: {}\n\
                     replay with ANNALIST_SEED={seed} ANNALIST_CRASH_STORES=1",
                    life.plan,
                    life.cut,
                    dir.display()
                )
            };
            let ended = life.run(&self.shim, &at, &mut ledger).map_err(context)?;
            tally.lives += 1;
            if let Some((fault, call, path)) = &ended.fault {
                *tally.faults.entry((fault.clone(), call.clone(), kind_of(path))).or_default() += 1;
            }
            let damaged =
                life.plan.fault == Fault::Flip && ended.notices.iter().any(|notice| !notice.ends_with(" events"));
            tally.detected += u64::from(damaged);
            // Some stores are met by the next fault as the last one left them.
            if random.below(4) == 0 && life.plan.fault != Fault::Flip {
                continue;
            }
            audit(&at.root(), &mut ledger, life.seed).await.map_err(context)?;
            tally.audits += 1;
        }
        tally.acked += ledger.acked.len() as u64;
        fs::remove_dir_all(&dir).map_err(|error| error.to_string())
    }

    fn life(&self, random: &mut Random, number: u64) -> Life {
        let seed = random.any();
        let fault = random.of(&[
            Fault::Kill,
            Fault::Cut,
            Fault::Cut,
            Fault::Eio,
            Fault::Enospc,
            Fault::Short,
            Fault::Flip,
            Fault::None,
        ]);
        let (mut on, mut matching) = if random.below(2) == 0 { ("", "") } else { random.of(&AIMS) };
        if fault == Fault::Flip {
            // Not of a MANIFEST: what RocksDB alone misreads there is beyond the store.
            (on, matching) = (
                "read",
                random.of(&[".sst", ".log", "log/0", "index/0", "view/0", "STORE", "backup.staging/*.sst", "backups/"]),
            );
        } else if matches!(fault, Fault::Eio | Fault::Enospc) && random.below(8) == 0 {
            (on, matching) = ("open", "");
        }
        // A life has several hundred steps that change something, few of each kind.
        let magnitude = 1 << random.below(7);
        let at = 1 + random.below(if on.is_empty() { 800 } else { magnitude });
        let fails = matches!(fault, Fault::Eio | Fault::Enospc | Fault::Short);
        let plan = Plan {
            fault,
            at,
            on,
            matching,
            lasting: fails && random.below(2) == 0,
            cut_after: if fails && random.below(3) == 0 { 1 + random.below(40) } else { 0 },
            seed: random.any(),
        };
        let plan = if fault == Fault::None { Plan::none(plan.seed) } else { plan };
        let cut = fault == Fault::None || fails && random.below(2) == 0;
        Life { driver: self.driver.clone(), number, seed, numbers: 20 + random.below(140), plan, cut }
    }
}

/// What kind of file a path names.
fn kind_of(path: &str) -> String {
    let path = Path::new(path);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let place = path
        .parent()
        .and_then(|parent| parent.file_name())
        .map_or_else(String::new, |place| format!("{}/", place.to_string_lossy()));
    let kind = match (name.rsplit_once('.'), name.split('-').next()) {
        (Some((_, kind)), _) => format!("*.{kind}"),
        (None, Some(stem)) => stem.to_owned(),
        (None, None) => name.clone(),
    };
    format!("{place}{kind}")
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} stores, {} lives, {} audits, {} acknowledged appends, {} of {} wrong bits reported",
            self.stores,
            self.lives,
            self.audits,
            self.acked,
            self.detected,
            self.faults.iter().filter(|((fault, _, _), _)| fault == "flip").map(|(_, count)| count).sum::<u64>(),
        )?;
        for ((fault, call, kind), count) in &self.faults {
            writeln!(f, "  {fault:7} {call:8} {kind:24} {count:6}")?;
        }
        Ok(())
    }
}
