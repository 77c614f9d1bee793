//! The service `Care`.

use std::{future::Future, num::NonZeroUsize, ops::ControlFlow, path::PathBuf, pin::Pin, sync::Arc};

use annalist_core::{
    Backup, DamagedFile, Finding, Invalid, Part, PastEvent, Position, Progress, Query, StoreError, Verified,
};
use annalist_proto::{
    import_status, stream_version,
    v1::{self, backup_response::Response as BackupWire, verify_response::Response as VerifyWire},
};
use annalist_store::{BackupError, BackupOptions, Backups, Store};
use async_trait::async_trait;
use futures_util::{StreamExt as _, stream, stream::try_unfold};
use tokio::{
    sync::{Semaphore, watch},
    time::sleep,
};
use tonic::{Request, Response, Status};

use super::{denied, invalid, streams::Answers, unread, who};
use crate::{
    audit::ImportCounts,
    limits::{PROGRESS_INTERVAL, STREAMS_MAX},
    stopping::Stopping,
};

/// What operators ask for, as a service.
pub(super) struct Care {
    store: Store,
    backups: Option<PathBuf>,
    stopping: Stopping,
    verifying: Arc<Semaphore>,
}

type Answer<T> = Result<Response<T>, Status>;
type Work<T> = Pin<Box<dyn Future<Output = Result<T, Status>> + Send>>;

impl Care {
    pub(super) fn new(store: Store, backups: Option<PathBuf>, stopping: Stopping) -> Self {
        Self { store, backups, stopping, verifying: Arc::new(Semaphore::new(1)) }
    }

    fn folder(&self) -> Result<PathBuf, Status> {
        let why = "this server was not told where backups go; start it with --backups FOLDER";
        self.backups.clone().ok_or_else(|| invalid(Invalid::Other { why: why.to_owned() }))
    }
}

#[async_trait]
impl v1::care_server::Care for Care {
    type VerifyStream = Answers<v1::VerifyResponse>;
    type BackupStream = Answers<v1::BackupResponse>;

    async fn streams(&self, request: Request<v1::StreamsRequest>) -> Answer<v1::StreamsResponse> {
        let who = who(&request)?;
        let v1::StreamsRequest { category, after, limit } = request.into_inner();
        let query = category.as_ref().map_or_else(Query::all, |category| Query::category(category.clone()));
        query.check().map_err(|error| unread(&error.into()))?;
        who.may_query(&query).map_err(denied)?;
        let limit = if limit == 0 { STREAMS_MAX } else { limit.min(STREAMS_MAX) };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let found = self.store.streams(category.as_deref(), after.as_deref(), limit).await;
        let streams = found.map_err(|error| unread(&error))?.into_iter().map(stream_version).collect();
        Ok(Response::new(v1::StreamsResponse { streams }))
    }

    async fn verify(&self, request: Request<v1::VerifyRequest>) -> Answer<Self::VerifyStream> {
        let why = "the store is being verified for somebody else; try again when that is done";
        let busy = |_| unread(&StoreError::Unavailable { why: why.to_owned() });
        let turn = Arc::clone(&self.verifying).try_acquire_owned().map_err(busy)?;
        let (after, store) = (Position::new(request.into_inner().after), self.store.clone());
        let (tell, progress) = watch::channel(Progress { done: 0, total: 0 });
        let work = Box::pin(async move {
            let _turn = turn;
            let told = |progress| {
                tell.send_replace(progress);
                ControlFlow::Continue(())
            };
            store.verify(after, told).await.map_err(|error| unread(&error))
        });
        let so_far = |progress| v1::VerifyResponse { response: Some(VerifyWire::Progress(progress)) };
        let done = |report| v1::VerifyResponse { response: Some(VerifyWire::Verified(verified(report))) };
        answered(reporting(work, progress, self.stopping.clone(), so_far, done)).await
    }

    async fn backup(&self, request: Request<v1::BackupRequest>) -> Answer<Self::BackupStream> {
        let (folder, store) = (self.folder()?, self.store.clone());
        let mut options = BackupOptions::default();
        options.keep = request.into_inner().keep.and_then(|keep| NonZeroUsize::new(keep.try_into().ok()?));
        let (tell, progress) = watch::channel(Progress { done: 0, total: 0 });
        let work = Box::pin(async move {
            store.backup(folder, options, move |progress| _ = tell.send_replace(progress)).await.map_err(failed)
        });
        let so_far = |progress| v1::BackupResponse { response: Some(BackupWire::Progress(progress)) };
        let done = |backup| v1::BackupResponse { response: Some(BackupWire::Backup(made(&backup))) };
        answered(reporting(work, progress, self.stopping.clone(), so_far, done)).await
    }

    async fn backups(&self, _: Request<v1::BackupsRequest>) -> Answer<v1::BackupsResponse> {
        let backups = Backups::of(self.folder()?);
        let listed = tokio::task::spawn_blocking(move || backups.list()).await;
        let listed = listed.map_err(|_| unread(&StoreError::Closed))?.map_err(failed)?;
        let mut response = v1::BackupsResponse::default();
        for backup in listed {
            match backup {
                Ok(backup) => response.backups.push(made(&backup)),
                Err(DamagedFile { path, detail }) => {
                    response.damaged.push(v1::DamagedFile { path: path.display().to_string(), detail });
                }
            }
        }
        Ok(Response::new(response))
    }

    async fn import(&self, request: Request<v1::ImportRequest>) -> Answer<v1::ImportResponse> {
        let events = request.into_inner().events.into_iter().map(PastEvent::try_from);
        let events = events.collect::<Result<Vec<_>, _>>().map_err(invalid)?;
        let imported = self.store.import(&events).await.map_err(|error| import_status(&error))?;
        let pieces = ImportCounts { pieces: 1, recorded: imported.recorded, present: imported.present };
        let mut response = Response::new(imported.into());
        response.extensions_mut().insert(pieces);
        Ok(response)
    }
}

/// What takes long, told of now and then until it is done.
fn reporting<D: 'static, T: Send + 'static>(
    work: Work<D>,
    progress: watch::Receiver<Progress>,
    stopping: Stopping,
    so_far: fn(v1::Progress) -> T,
    done: fn(D) -> T,
) -> Answers<T> {
    let state = (Some(work), progress, stopping);
    Box::pin(try_unfold(state, move |(work, mut progress, stopping)| async move {
        let Some(mut work) = work else { return Ok(None) };
        let moved = async {
            sleep(PROGRESS_INTERVAL).await;
            // An error means that the work is done, which is noticed first.
            _ = progress.changed().await;
        };
        let finished = tokio::select! {
            biased;
            finished = &mut work => Some(finished?),
            () = stopping.stopped() => return Err(unread(&StoreError::Closed)),
            () = moved => None,
        };
        let (response, work) = if let Some(finished) = finished {
            (done(finished), None)
        } else {
            let Progress { done, total } = *progress.borrow_and_update();
            (so_far(v1::Progress { done, total }), Some(work))
        };
        Ok(Some((response, (work, progress, stopping))))
    }))
}

/// The answer, once there is something of it: what fails at once is an answer of its own.
async fn answered<T: Send + 'static>(mut answers: Answers<T>) -> Answer<Answers<T>> {
    let first = answers.next().await.transpose()?;
    Ok(Response::new(Box::pin(stream::iter(first.map(Ok)).chain(answers))))
}

/// What was wrong, as clients of a store know it.
fn failed(error: BackupError) -> Status {
    match error {
        BackupError::Store(error) => unread(&error),
        BackupError::Busy { .. } | BackupError::Io { .. } => unread(&StoreError::Unavailable { why: why(&error) }),
        other => invalid(Invalid::Other { why: other.to_string() }),
    }
}

fn verified(report: Verified) -> v1::Verified {
    let Verified { after, through, head, pages, findings, findings_count } = report;
    let findings = findings.into_iter().map(|Finding { part, position, detail }| {
        let part = match part {
            Part::Log => v1::Part::Log,
            Part::Index => v1::Part::Index,
        };
        v1::Finding { part: part.into(), position: position.get(), detail }
    });
    let findings = findings.collect();
    v1::Verified { after: after.get(), through: through.get(), head: head.get(), pages, findings, findings_count }
}

fn made(backup: &Backup) -> v1::BackupMade {
    v1::BackupMade {
        number: backup.number,
        time_us: backup.time.as_micros(),
        head: Some(backup.head.into()),
        files: backup.files,
        bytes: backup.bytes,
        added_bytes: backup.added_bytes,
    }
}

/// What an error says, with its causes.
fn why(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
