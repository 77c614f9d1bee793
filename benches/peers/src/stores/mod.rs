//! The stores, one file each.

pub(crate) mod annalist;
mod disk;
mod sierradb;
mod sqlite;
pub(crate) mod tephra;
pub(crate) mod umadb;

pub(crate) use self::{
    annalist::Annalist,
    disk::measure as measure_disk,
    sierradb::SierraDb,
    sqlite::{Sqlite, SqliteDirect},
    tephra::Tephra,
    umadb::UmaDb,
};
