//! The stores, one file each.

mod annalist;
mod disk;
mod sierradb;
mod sqlite;
mod tephra;
mod umadb;

pub(crate) use self::{
    annalist::Annalist,
    disk::measure as measure_disk,
    sierradb::SierraDb,
    sqlite::{Sqlite, SqliteDirect},
    tephra::Tephra,
    umadb::UmaDb,
};
