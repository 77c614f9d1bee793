//! What `grpc.health.v1` answers.

use annalist_proto::v1::event_store_server::SERVICE_NAME;
use annalist_store::Store;
use tokio::time::interval;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::limits::HEALTH_INTERVAL;

/// Says how the store is, for ever: the server serves while it takes appends.
pub(crate) async fn report(store: Store, reporter: HealthReporter) {
    let mut ticks = interval(HEALTH_INTERVAL);
    loop {
        ticks.tick().await;
        tell(&store, &reporter).await;
    }
}

/// Says how the store is now.
pub(crate) async fn tell(store: &Store, reporter: &HealthReporter) {
    let serves = store.health().takes_writes();
    say(reporter, if serves { ServingStatus::Serving } else { ServingStatus::NotServing }).await;
}

/// Says it of the whole server and of its main service.
pub(crate) async fn say(reporter: &HealthReporter, status: ServingStatus) {
    for service in ["", SERVICE_NAME] {
        reporter.set_service_status(service, status).await;
    }
}
