//! Looking after the store of a server.

use annalist_core::{
    Backup, DamagedFile, Finding, ImportError, Imported, Part, PastEvent, Position, Progress, StoreError, StreamId,
    Timestamp, Verified, Version,
};
use annalist_proto::{
    import_error, stored_stream_version,
    v1::{self, backup_response::Response as BackupWire, verify_response::Response as VerifyWire},
};
use tonic::{Response, Streaming};

use crate::{failure::Failure, remote::Again, store::RemoteStore};

/// One response, taken apart.
enum Said<T> {
    SoFar(v1::Progress),
    Done(T),
}

impl RemoteStore {
    /// The streams of the store, or of one category, by name, and their last versions: at most `limit` behind `after`, and at
    /// most a thousand.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be told.
    pub async fn streams(
        &self,
        within: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Version)>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let request = v1::StreamsRequest {
            category: within.map(str::to_owned),
            after: after.map(str::to_owned),
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
        };
        let remote = self.remote();
        let attempt = |asked| async move { remote.care().streams(remote.timed(asked)).await };
        let answer = remote.call(|| request.clone(), Again::Harmless, Failure::of_reading, attempt).await;
        let streams = answer.map_err(Failure::into_store_error)?.streams.into_iter();
        streams.map(|stream| stored_stream_version(stream).map_err(|error| incomprehensible(&error))).collect()
    }

    /// Has the server verify its store behind `after` while it goes on working. `progress` is told in positions.
    ///
    /// # Errors
    /// What is damaged is part of the report. [`StoreError`] when it cannot be told, or breaks off: go on behind what
    /// `progress` was told last.
    pub async fn verify(&self, after: Position, progress: impl FnMut(Progress)) -> Result<Verified, StoreError> {
        let remote = self.remote();
        let attempt = |asked| async move { remote.care().verify(remote.streamed(asked)).await };
        let request = || v1::VerifyRequest { after: after.get() };
        let responses = remote.call(request, Again::Harmless, Failure::of_reading, attempt).await;
        let said = |response: v1::VerifyResponse| match response.response? {
            VerifyWire::Progress(progress) => Some(Said::SoFar(progress)),
            VerifyWire::Verified(verified) => Some(Said::Done(verified)),
        };
        let report = self.done(responses.map_err(Failure::into_store_error)?, said, progress).await?;
        let findings = report.findings.into_iter().map(|finding| Finding {
            part: if finding.part() == v1::Part::Index { Part::Index } else { Part::Log },
            position: Position::new(finding.position),
            detail: finding.detail,
        });
        Ok(Verified {
            after: Position::new(report.after),
            through: Position::new(report.through),
            head: Position::new(report.head),
            pages: report.pages,
            findings: findings.collect(),
            findings_count: report.findings_count,
        })
    }

    /// Has the server make a backup in the folder that it was told, while it goes on working, and keep that many; all of them
    /// without a number. `progress` is told in bytes.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when the server has no folder for backups, or its folder is another store's;
    /// [`StoreError::Unavailable`] when there is one being made, or the disk is full. When the connection breaks, the server
    /// goes on: [`RemoteStore::backups`] tells what came of it.
    pub async fn backup(&self, keep: Option<u32>, progress: impl FnMut(Progress)) -> Result<Backup, StoreError> {
        let remote = self.remote();
        let attempt = |asked| async move { remote.care().backup(remote.streamed(asked)).await };
        let responses = remote.call(|| v1::BackupRequest { keep }, Again::Never, Failure::of_reading, attempt).await;
        let said = |response: v1::BackupResponse| match response.response? {
            BackupWire::Progress(progress) => Some(Said::SoFar(progress)),
            BackupWire::Backup(backup) => Some(Said::Done(backup)),
        };
        made(self.done(responses.map_err(Failure::into_store_error)?, said, progress).await?)
    }

    /// The backups in the server's folder, oldest first, and what is wrong with those that cannot be read.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be told.
    pub async fn backups(&self) -> Result<(Vec<Backup>, Vec<DamagedFile>), StoreError> {
        let remote = self.remote();
        let attempt = |asked| async move { remote.care().backups(remote.timed(asked)).await };
        let answer = remote.call(|| v1::BackupsRequest {}, Again::Harmless, Failure::of_reading, attempt).await;
        let v1::BackupsResponse { backups, damaged } = answer.map_err(Failure::into_store_error)?;
        let damaged =
            damaged.into_iter().map(|v1::DamagedFile { path, detail }| DamagedFile { path: path.into(), detail });
        Ok((backups.into_iter().map(made).collect::<Result<_, _>>()?, damaged.collect()))
    }

    /// Has the server record events that were recorded elsewhere, with the ids, versions and times that they have: all that are
    /// not there yet, or none. What is there already is passed over, so whatever breaks off is repeated, here and by who calls.
    ///
    /// # Errors
    /// As `Store::import` of `annalist-store`; [`AppendError::Unknown`](annalist_core::AppendError::Unknown) within it means that
    /// there was no answer: import the same again.
    pub async fn import(&self, events: &[PastEvent]) -> Result<Imported, ImportError> {
        let remote = self.remote();
        let attempt = |asked| async move {
            match remote.care().import(remote.timed(asked)).await {
                Ok(response) => Ok(response.map(Ok)),
                // An answer, if not the one that was hoped for.
                Err(status) => import_error(&status).map(|error| Response::new(Err(error))).ok_or(status),
            }
        };
        let request = || v1::ImportRequest { events: events.iter().map(Into::into).collect() };
        let answer = remote.call(request, Again::Harmless, Failure::of_reading, attempt).await;
        let response = answer.map_err(Failure::into_append_error)??;
        Imported::try_from(response).map_err(|error| incomprehensible(&error).into())
    }

    /// Takes responses until it is done.
    async fn done<R, T>(
        &self,
        mut responses: Streaming<R>,
        said: impl Fn(R) -> Option<Said<T>>,
        mut progress: impl FnMut(Progress),
    ) -> Result<T, StoreError> {
        loop {
            let response = self.remote().while_open(responses.message()).await?;
            let response = response.map_err(|status| Failure::of_reading(status).into_store_error())?;
            match response.and_then(&said) {
                Some(Said::SoFar(v1::Progress { done, total })) => progress(Progress { done, total }),
                Some(Said::Done(done)) => return Ok(done),
                None => return Err(incomprehensible(&"it ended without a result")),
            }
        }
    }
}

fn made(backup: v1::BackupMade) -> Result<Backup, StoreError> {
    let head = backup.head.ok_or_else(|| incomprehensible(&"the backup has no head"))?;
    Ok(Backup {
        number: backup.number,
        time: Timestamp::from_micros(backup.time_us),
        head: head.try_into().map_err(|error| incomprehensible(&error))?,
        files: backup.files,
        bytes: backup.bytes,
        added_bytes: backup.added_bytes,
    })
}

fn incomprehensible(why: &dyn std::fmt::Display) -> StoreError {
    Failure::incomprehensible(why).into_store_error()
}
