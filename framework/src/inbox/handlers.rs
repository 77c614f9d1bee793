//! Which handler a message goes to.

use std::{future::Future, sync::Arc};

use futures_util::future::BoxFuture;

use super::{
    context::{InboxContext, Received},
    error::HandleError,
    message::Incoming,
};
use crate::event::{Declared, DecodeError, EventSet, Events};

/// A handler at work.
pub(super) type Handling = BoxFuture<'static, Result<(), HandleError>>;

type Typed = dyn Fn(Arc<Incoming>, InboxContext) -> Result<Handling, DecodeError> + Send + Sync;
type Otherwise = dyn Fn(Arc<Incoming>, InboxContext) -> Handling + Send + Sync;

struct Route {
    declares: fn(&str) -> bool,
    handle: Box<Typed>,
}

/// The handlers of an inbox, asked in the order in which they were added.
#[derive(Default)]
pub(super) struct Handlers {
    routes: Vec<Route>,
    declared: Vec<Declared>,
    otherwise: Option<Box<Otherwise>>,
}

impl Handlers {
    pub(super) fn add<E: EventSet, F>(
        &mut self,
        handle: impl Fn(Received<E>, InboxContext) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = Result<(), HandleError>> + Send + 'static,
    {
        self.declared.extend(E::declared());
        let handle = move |message: Arc<Incoming>, cx| {
            let (name, version) = message.name_and_version();
            let event = E::decode(name, version, &message.data)?;
            Ok(Box::pin(handle(Received { event, message }, cx)) as Handling)
        };
        self.routes.push(Route { declares: E::declares, handle: Box::new(handle) });
    }

    pub(super) fn otherwise<F>(&mut self, handle: impl Fn(Arc<Incoming>, InboxContext) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), HandleError>> + Send + 'static,
    {
        self.otherwise = Some(Box::new(move |message, cx| Box::pin(handle(message, cx))));
    }

    /// Begins to handle a message; `None` if nobody wants it.
    pub(super) fn begin(
        &self,
        message: Arc<Incoming>,
        cx: impl FnOnce() -> InboxContext,
    ) -> Result<Option<Handling>, DecodeError> {
        let (name, _) = message.name_and_version();
        if let Some(route) = self.routes.iter().find(|route| (route.declares)(name)) {
            return (route.handle)(message, cx()).map(Some);
        }
        Ok(self.otherwise.as_ref().map(|handle| handle(message, cx())))
    }

    pub(super) fn declared(&self) -> &[Declared] {
        &self.declared
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.otherwise.is_none()
    }
}
