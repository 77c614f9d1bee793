//! Faults of the disk, for processes that are to meet them: a library that is loaded before the C library lets calls fail as a
//! [`Plan`] says, or takes the power away with everything that was not synced (`disk.c`, `shim.c`).

mod audit;
mod backups;
mod content;
mod life;
mod matrix;
mod plan;

pub use audit::{Ledger, audit};
pub use backups::{BACKUPS, RESTORED};
pub use content::{Id, Kind, options, payload, view_options, whose};
pub use life::{Ended, Life, Surroundings};
pub use matrix::{Matrix, Tally};
pub use plan::{Fault, Plan, Random};

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The library, compiled.
#[derive(Debug)]
pub struct Shim {
    library: PathBuf,
}

impl Shim {
    /// Compiles the library into a folder, with the C compiler that RocksDB needed too.
    ///
    /// # Panics
    /// If there is no C compiler: without it nothing would be tested.
    #[must_use]
    pub fn compile(dir: &Path) -> Self {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/faults");
        let library = dir.join("faults.so");
        let mut compiler = Command::new("cc");
        compiler.args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]).arg(&library);
        compiler.args(["disk.c", "plan.c", "shim.c"].map(|name| sources.join(name))).arg("-ldl");
        let status = compiler.status().expect("a C compiler is there");
        assert!(status.success(), "the library of faults compiles");
        Self { library }
    }

    /// Lets a process meet the faults of a plan in the folder `root`. `journal` is an empty folder beside it, `report` is told what
    /// happened.
    pub fn load(&self, command: &mut Command, plan: &Plan, root: &Path, journal: &Path, report: &Path) {
        command.env("LD_PRELOAD", &self.library).env("FAULTS_PLAN", plan.to_string());
        command.env("FAULTS_ROOT", root).env("FAULTS_JOURNAL", journal).env("FAULTS_REPORT", report);
    }
}
