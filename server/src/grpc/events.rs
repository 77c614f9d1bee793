//! The service `EventStore`.

use annalist_core::{Append, Key, Read, Timestamp};
use annalist_proto::{form, subscribed, v1};
use async_trait::async_trait;
use tonic::{Request, Response, Status};

use super::{
    denied, invalid, refused,
    streams::{Answers, following, reading},
    unread, who,
};
use crate::stopping::Stopping;

/// The log as a service.
pub(super) struct Events {
    pub(super) store: super::Events,
    pub(super) stopping: Stopping,
}

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl v1::event_store_server::EventStore for Events {
    type ReadStream = Answers<v1::ReadResponse>;
    type SubscribeStream = Answers<v1::SubscribeResponse>;

    async fn append(&self, request: Request<v1::AppendRequest>) -> Answer<v1::AppendResponse> {
        let who = who(&request)?;
        let append = Append::try_from(request.into_inner()).map_err(invalid)?;
        who.may_append(&append).map_err(denied)?;
        let appended = self.store.append(append).await.map_err(|error| refused(&error))?;
        Ok(Response::new(v1::AppendResponse { appended: Some(appended.into()) }))
    }

    async fn outcome(&self, request: Request<v1::OutcomeRequest>) -> Answer<v1::OutcomeResponse> {
        let key = request.into_inner().key.unwrap_or_default();
        let key = Key::try_from(key).map_err(invalid)?;
        let outcome = self.store.outcome(&key).await.map_err(|error| unread(&error))?;
        Ok(Response::new(v1::OutcomeResponse { outcome: outcome.map(Into::into) }))
    }

    async fn read(&self, request: Request<v1::ReadRequest>) -> Answer<Self::ReadStream> {
        let (who, request) = (who(&request)?, request.into_inner());
        let form = form(request.form).map_err(invalid)?;
        let read = Read::try_from(request).map_err(invalid)?;
        who.may_read(&read).map_err(denied)?;
        let batches = self.store.read(read).await.map_err(|error| unread(&error))?;
        Ok(Response::new(reading(batches, form)))
    }

    async fn subscribe(&self, request: Request<v1::SubscribeRequest>) -> Answer<Self::SubscribeStream> {
        let (who, request) = (who(&request)?, request.into_inner());
        let form = form(request.form).map_err(invalid)?;
        let (query, after) = subscribed(request).map_err(invalid)?;
        who.may_query(&query).map_err(denied)?;
        let subscription = self.store.subscribe(query, after).await.map_err(|error| unread(&error))?;
        // The store's name is the same in every cursor of its log.
        let began = self.store.head().await.map_err(|error| unread(&error))?.at(after.position);
        Ok(Response::new(following(subscription, began, form, self.stopping.clone())))
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
