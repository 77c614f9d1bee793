//! What crosses packages: the conformance suite that every event store passes, the model that their answers are compared
//! with one by one, the histories of many clients at once that are judged afterwards, and the stores as subjects of all
//! three; faults of the disk, with a driver that meets them and the audit of what it leaves; a writer that is there to be
//! killed; and many clients on one server for a long time.

pub mod conformance;
pub mod faults;
pub mod history;
pub mod model;
#[cfg(feature = "remote")]
pub mod soak;
pub mod subjects;
pub mod writer;

mod runs;
