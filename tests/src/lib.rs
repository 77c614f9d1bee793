//! What crosses packages: the conformance suite that every event store passes, the model that their answers are compared
//! with, and the stores as subjects of both.

pub mod conformance;
pub mod model;
pub mod subjects;
