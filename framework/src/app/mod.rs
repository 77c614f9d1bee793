//! An app: everything that belongs to a service, wired once and running.

#[expect(clippy::module_inception, reason = "the file holds the app itself")]
mod app;
mod builder;
mod store;

pub use app::App;
pub use builder::{AppBuilder, StartError};
pub use store::Store;
