//! The databases of a store that another process has open, read through their MANIFESTs (ADR 63).
//!
//! RocksDB calls this a secondary. It reads tables and nothing else here: its own way of following a write-ahead log never ends at a
//! file that is used again (11.8: `FragmentBufferedReader::ReadRecord` takes an old record for one that it should look at once more).
//! Tables are held open, so that those which the other process removes can still be read.

use std::{fs, path::Path};

use rocksdb::{Cache, DB, Options};

use super::{IndexDb, LogDb, log::families, options};
use crate::options::StoreOptions;

/// What is particular about a database that another process writes; `scratch` takes RocksDB's own messages.
fn followed(mut options: Options, scratch: &Path) -> Options {
    options.create_if_missing(false);
    options.create_missing_column_families(false);
    options.set_max_open_files(-1);
    // There is no write-ahead log to be found.
    options.set_wal_dir(scratch);
    options.set_track_and_verify_wals_in_manifest(false);
    options.set_recycle_log_file_num(0);
    options
}

impl LogDb {
    /// Opens the tables of the log in `dir`, and changes nothing there.
    pub(crate) fn follow(dir: &Path, scratch: &Path, settings: &StoreOptions) -> Result<Self, rocksdb::Error> {
        let options = followed(options::log_database(settings, false), scratch);
        let db = DB::open_cf_descriptors_as_secondary(&options, dir, scratch, families(settings, true))?;
        Ok(Self::new(db, settings, false))
    }

    /// Takes note of the tables that there are by now.
    pub(crate) fn catch_up(&self) -> Result<(), rocksdb::Error> {
        self.db.try_catch_up_with_primary()
    }
}

impl IndexDb {
    /// Opens the index in `dir`, and changes nothing there.
    pub(crate) fn follow(dir: &Path, scratch: &Path, cache: &Cache) -> Result<Self, rocksdb::Error> {
        let options = followed(options::index_database(), scratch);
        let db = DB::open_cf_descriptors_as_secondary(&options, dir, scratch, Self::families(cache))?;
        Ok(Self::new(db, dir, cache))
    }

    /// Takes note of the chunks that there are by now.
    pub(crate) fn catch_up(&self) -> Result<(), rocksdb::Error> {
        self.db.db().try_catch_up_with_primary()?;
        self.db.forget_iterators();
        Ok(())
    }

    /// Which database this is: another one may come to stand in its place, when the index is made anew.
    pub(crate) fn identity(dir: &Path) -> Option<String> {
        fs::read_to_string(dir.join("IDENTITY")).ok()
    }
}
