//! The services `Snapshots` and `Checkpoints`.

use annalist_core::{Checkpoints, Invalid, Snapshot, Snapshots, StreamId};
use annalist_proto::v1;
use annalist_store::Store;
use async_trait::async_trait;
use tonic::{Request, Response, Status};

use super::{denied, invalid, unread, who};
use crate::{group::note::is_of_groups, principal::Right};

/// What stands beside the log, as services.
#[derive(Clone)]
pub(super) struct Caches {
    pub(super) store: Store,
}

type Answer<T> = Result<Response<T>, Status>;

fn stream(name: String) -> Result<StreamId, Status> {
    StreamId::new(name).map_err(invalid)
}

#[async_trait]
impl v1::snapshots_server::Snapshots for Caches {
    async fn load(&self, request: Request<v1::LoadSnapshotRequest>) -> Answer<v1::LoadSnapshotResponse> {
        let (who, stream) = (who(&request)?, stream(request.into_inner().stream)?);
        who.may_use(Right::Read, &stream).map_err(denied)?;
        let snapshot = Snapshots::load(&self.store, &stream).await.map_err(|error| unread(&error))?;
        Ok(Response::new(v1::LoadSnapshotResponse { snapshot: snapshot.map(Into::into) }))
    }

    async fn save(&self, request: Request<v1::SaveSnapshotRequest>) -> Answer<v1::SaveSnapshotResponse> {
        let who = who(&request)?;
        let v1::SaveSnapshotRequest { stream: name, snapshot } = request.into_inner();
        let stream = stream(name)?;
        who.may_use(Right::Append, &stream).map_err(denied)?;
        let missing = || invalid(Invalid::Other { why: "the snapshot is missing; set it".to_owned() });
        let snapshot = Snapshot::try_from(snapshot.ok_or_else(missing)?).map_err(invalid)?;
        let saved = Snapshots::save(&self.store, &stream, snapshot).await;
        saved.map_err(|error| unread(&error))?;
        Ok(Response::new(v1::SaveSnapshotResponse {}))
    }
}

#[async_trait]
impl v1::checkpoints_server::Checkpoints for Caches {
    async fn load(&self, request: Request<v1::LoadCheckpointRequest>) -> Answer<v1::LoadCheckpointResponse> {
        let name = request.into_inner().name;
        let note = Checkpoints::load(&self.store, &name).await.map_err(|error| unread(&error))?;
        Ok(Response::new(v1::LoadCheckpointResponse { note }))
    }

    async fn save(&self, request: Request<v1::SaveCheckpointRequest>) -> Answer<v1::SaveCheckpointResponse> {
        let v1::SaveCheckpointRequest { name, note } = request.into_inner();
        if is_of_groups(&name) {
            let why = format!("names of notes that begin with `$`, as `{name}`, are reserved for the server");
            return Err(invalid(Invalid::Other { why }));
        }
        Checkpoints::save(&self.store, &name, note).await.map_err(|error| unread(&error))?;
        Ok(Response::new(v1::SaveCheckpointResponse {}))
    }
}
