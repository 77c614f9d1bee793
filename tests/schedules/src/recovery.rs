//! Opening a store: here it is always a new one, on the disk that was named last.

use std::{cell::RefCell, path::Path, sync::Arc};

use annalist_core::{Epoch, Position, StoreId, Timestamp};
use uuid::Uuid;

use crate::{
    error::OpenError,
    format::{StoreFile, Totals},
    lock::Lock,
    options::StoreOptions,
    rocks::{Disk, IndexDb, LogDb},
    sequencer::Start,
    shared::{Hold, Shared},
    tail::{Generation, View},
};

thread_local! {
    static DISK: RefCell<Option<Disk>> = const { RefCell::new(None) };
}

/// The next store is opened on this disk.
pub(crate) fn name_disk(disk: &Disk) {
    DISK.set(Some(disk.clone()));
}

pub(crate) struct Opened {
    pub(crate) shared: Arc<Shared>,
    pub(crate) start: Start,
}

#[expect(clippy::unnecessary_wraps, reason = "it stands for one that can fail")]
pub(crate) fn open(_: &Path, options: StoreOptions) -> Result<Opened, OpenError> {
    let disk = DISK.take().expect("a disk was named");
    let identity = StoreFile { id: StoreId::new(Uuid::from_u128(1)), epoch: Epoch::FIRST, left: Vec::new() };
    let view = View::of(Arc::new(Generation::behind(Position::ZERO, Totals::default())));
    let (log, index) = (LogDb::on(disk.clone()), IndexDb::on(disk));
    let shared = Shared::new(identity, options, log, index, view, Position::ZERO, Hold::Lock(Lock));
    let start = Start { last: Position::ZERO, checksum: 0, time: Timestamp::default() };
    Ok(Opened { shared: Arc::new(shared), start })
}
