//! An app: everything that belongs to a service, wired once and running.

#[expect(clippy::module_inception, reason = "the file holds the app itself")]
mod app;
mod builder;
mod health;
mod observe;
mod store;

pub use app::App;
pub use builder::{AppBuilder, StartError};
pub use health::{AppHealth, Part, PartHealth};
pub use store::Store;
