//! The services of `annalist.v1`.

mod apart;
mod caches;
mod care;
mod events;
mod groups;
mod pipeline;
mod shared;
mod streams;

use std::{path::PathBuf, sync::Arc};

use annalist_core::{AppendError, EventStore, Invalid, StoreError};
use annalist_proto::{
    MESSAGE_BYTES_MAX, append_status, store_status,
    v1::{
        care_server::CareServer, checkpoints_server::CheckpointsServer, event_store_server::EventStoreServer,
        groups_server::GroupsServer, snapshots_server::SnapshotsServer,
    },
};
use annalist_store::Store;
use tokio::runtime::Handle;
use tonic::{Request, Status, service::RoutesBuilder};

use crate::{
    answers::AnswersMax,
    group,
    principal::{Denied, Principal},
    stopping::Stopping,
};

/// Adds the services to others. Must be called within the runtime whose threads are to make reads that come together.
pub(crate) fn add(
    routes: &mut RoutesBuilder,
    store: &Store,
    backups: Option<PathBuf>,
    groups: &Arc<group::Groups>,
    answers: &AnswersMax,
    stopping: &Stopping,
) {
    let (store_of_events, readers) = (Arc::new(store.clone()), Handle::current());
    let events =
        events::Events { store: store_of_events, answers: answers.clone(), stopping: stopping.clone(), readers };
    let groups = groups::Groups { all: Arc::clone(groups) };
    let care = care::Care::new(store.clone(), backups, stopping.clone());
    let caches = caches::Caches { store: store.clone() };
    routes
        .add_service(
            EventStoreServer::new(events)
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
        )
        .add_service(CareServer::new(care).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(GroupsServer::new(groups).max_encoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(
            SnapshotsServer::new(caches.clone())
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
        )
        .add_service(
            CheckpointsServer::new(caches)
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
        );
}

type Events = Arc<dyn EventStore>;

/// Who asks. The guard has put it there.
fn who<T>(request: &Request<T>) -> Result<Arc<Principal>, Status> {
    let who = request.extensions().get::<Arc<Principal>>().cloned();
    who.ok_or_else(|| Status::internal("nobody has asked who asks"))
}

fn denied(denied: Denied) -> Status {
    Status::permission_denied(denied.into_why())
}

fn refused(error: &AppendError) -> Status {
    append_status(error)
}

fn unread(error: &StoreError) -> Status {
    store_status(error)
}

fn invalid(invalid: Invalid) -> Status {
    store_status(&StoreError::Invalid(invalid))
}
