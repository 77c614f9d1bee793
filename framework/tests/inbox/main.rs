//! Messages from elsewhere: each causes what it causes once, in order, whatever happens.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bank;
mod dead;
mod effects;
mod order;
mod restart;
mod restored;
#[cfg(feature = "embedded")]
#[path = "../../../tests/shared/restoring.rs"]
mod restoring;

use std::time::Duration;

use annalist::{
    App, Store,
    inbox::{InboxStatus, RunningInbox},
};

/// How long anything may take: far longer than it does.
const PATIENCE: Duration = Duration::from_mins(2);

/// An app in memory with this inbox, waiting until so many messages are settled.
pub(crate) async fn app_with(inbox: annalist::inbox::Inbox) -> App {
    App::open(Store::memory()).inbox(inbox).start().await.unwrap()
}

pub(crate) fn inbox(app: &App) -> &RunningInbox {
    app.inboxes().first().unwrap()
}

/// Waits until so many messages are handled, passed over or put aside.
pub(crate) async fn settled(app: &App, count: u64) -> InboxStatus {
    let until = inbox(app).until(|status| status.settled() >= count);
    let status = tokio::time::timeout(PATIENCE, until).await.expect("they are settled");
    assert_eq!(status.settled(), count, "{status}");
    status
}
