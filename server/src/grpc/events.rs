//! The service `EventStore`.

use annalist_core::{Append, Batches, Invalid, Key, Read, Timestamp};
use annalist_proto::{PipelineRequest, form, subscribed, v1};
use async_trait::async_trait;
use tokio::runtime::Handle;
use tonic::{Request, Response, Status, Streaming};

use super::{
    denied, invalid, refused,
    shared::{self, Caller},
    streams::{Answers, following, found, lasting, reading},
    unread, who,
};
use crate::{answers::AnswersMax, principal::Principal, stopping::Stopping};

/// The log as a service.
pub(super) struct Events {
    pub(super) store: super::Events,
    pub(super) answers: AnswersMax,
    pub(super) stopping: Stopping,
    /// Where reads are made that come together.
    pub(super) readers: Handle,
}

type Answer<T> = Result<Response<T>, Status>;

pub(super) async fn append(
    store: &super::Events,
    who: &Principal,
    append: Result<Append, Invalid>,
) -> Result<v1::Appended, Status> {
    let append = append.map_err(invalid)?;
    who.may_append(&append).map_err(denied)?;
    let appended = store.append(append).await.map_err(|error| refused(&error))?;
    Ok(appended.into())
}

async fn read(
    store: &super::Events,
    who: &Principal,
    request: v1::ReadRequest,
) -> Result<(Box<dyn Batches>, v1::Form), Status> {
    let form = form(request.form).map_err(invalid)?;
    let read = Read::try_from(request).map_err(invalid)?;
    who.may_read(&read).map_err(denied)?;
    let batches = store.read(read).await.map_err(|error| unread(&error))?;
    Ok((batches, form))
}

/// The first events of a read.
pub(super) async fn look_up(
    store: &super::Events,
    who: &Principal,
    request: v1::ReadRequest,
) -> Result<v1::Found, Status> {
    let (batches, form) = read(store, who, request).await?;
    found(batches, form).await.map_err(|error| unread(&error))
}

#[async_trait]
impl v1::event_store_server::EventStore for Events {
    type PipelineStream = Answers<v1::PipelineResponse>;
    type LookupStream = Answers<v1::LookupResponse>;
    type ReadStream = Answers<v1::ReadResponse>;
    type SubscribeStream = Answers<v1::SubscribeResponse>;

    async fn append(&self, request: Request<v1::AppendRequest>) -> Answer<v1::AppendResponse> {
        let who = who(&request)?;
        let appended = append(&self.store, &who, request.into_inner().try_into()).await?;
        Ok(Response::new(v1::AppendResponse { appended: Some(appended) }))
    }

    async fn pipeline(&self, requests: Request<Streaming<PipelineRequest>>) -> Answer<Self::PipelineStream> {
        let caller = Caller::of(&requests, &self.store, &self.stopping)?;
        Ok(Response::new(shared::appends(caller, requests.into_inner())))
    }

    async fn outcome(&self, request: Request<v1::OutcomeRequest>) -> Answer<v1::OutcomeResponse> {
        let key = request.into_inner().key.unwrap_or_default();
        let key = Key::try_from(key).map_err(invalid)?;
        let outcome = self.store.outcome(&key).await.map_err(|error| unread(&error))?;
        Ok(Response::new(v1::OutcomeResponse { outcome: outcome.map(Into::into) }))
    }

    async fn read(&self, request: Request<v1::ReadRequest>) -> Answer<Self::ReadStream> {
        let who = who(&request)?;
        let place = self.answers.begin().map_err(|error| unread(&error))?;
        let (batches, form) = read(&self.store, &who, request.into_inner()).await?;
        Ok(Response::new(lasting(reading(batches, form), place)))
    }

    async fn lookup(&self, requests: Request<Streaming<v1::LookupRequest>>) -> Answer<Self::LookupStream> {
        let caller = Caller::of(&requests, &self.store, &self.stopping)?;
        let place = self.answers.begin().map_err(|error| unread(&error))?;
        let answers = shared::lookups(caller, self.readers.clone(), requests.into_inner());
        Ok(Response::new(lasting(answers, place)))
    }

    async fn subscribe(&self, request: Request<v1::SubscribeRequest>) -> Answer<Self::SubscribeStream> {
        let (who, request) = (who(&request)?, request.into_inner());
        let form = form(request.form).map_err(invalid)?;
        let (query, after) = subscribed(request).map_err(invalid)?;
        who.may_query(&query).map_err(denied)?;
        let place = self.answers.begin().map_err(|error| unread(&error))?;
        let subscription = self.store.subscribe(query, after).await.map_err(|error| unread(&error))?;
        // The store's name is the same in every cursor of its log.
        let began = self.store.head().await.map_err(|error| unread(&error))?.at(after.position);
        Ok(Response::new(lasting(following(subscription, began, form, self.stopping.clone()), place)))
    }

    async fn head(&self, _: Request<v1::HeadRequest>) -> Answer<v1::HeadResponse> {
        let head = self.store.head().await.map_err(|error| unread(&error))?;
        Ok(Response::new(v1::HeadResponse { head: Some(head.into()) }))
    }

    async fn position_before(&self, request: Request<v1::PositionBeforeRequest>) -> Answer<v1::PositionBeforeResponse> {
        let time = Timestamp::from_micros(request.into_inner().time_us);
        let position = self.store.position_before(time).await.map_err(|error| unread(&error))?;
        Ok(Response::new(v1::PositionBeforeResponse { position: position.get() }))
    }

    async fn statistics(&self, _: Request<v1::StatisticsRequest>) -> Answer<v1::StatisticsResponse> {
        let statistics = self.store.statistics().await.map_err(|error| unread(&error))?;
        Ok(Response::new(statistics.into()))
    }
}
