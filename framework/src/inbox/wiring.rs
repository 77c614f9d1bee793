//! What is consumed, and who handles it.

use std::{fmt, future::Future, sync::Arc};

use annalist_core::{Checkpoints, EventStore};
use tokio::sync::{Semaphore, watch};
use tracing::Instrument;

use super::{
    consumer::Consumer,
    context::{InboxContext, Received},
    error::HandleError,
    handlers::Handlers,
    message::Incoming,
    options::InboxOptions,
    running::RunningInbox,
    status::InboxStatus,
    task::Task,
    work::Work,
};
use crate::{
    command::Commands,
    env::Env,
    event::{Declared, EventSet},
};

pub(super) type KeyOf = dyn Fn(&Incoming) -> String + Send + Sync;

/// An inbox: what is consumed, and what each message causes.
///
/// ```
/// # use annalist::{Aggregate, App, Command, Context, Decide, Decision, Event, State, Store, emit};
/// # use serde::{Deserialize, Serialize};
/// use annalist::inbox::{HandleError, Inbox, InboxContext, MemoryConsumer, Received};
///
/// /// What another service publishes: a contract, declared here as far as it matters here.
/// #[derive(Event, Clone, Debug)]
/// #[event(category = "payments")]
/// enum PaymentEvent {
///     #[event(name = "payments.payment-charged")]
///     Charged { order: String, cents: u64 },
/// }
/// # #[derive(Event, Clone, Debug)]
/// # #[event(category = "order")]
/// # enum OrderEvent { #[event(name = "order-paid")] Paid { cents: u64 } }
/// # #[derive(Default)]
/// # struct Order;
/// # impl State for Order { type Event = OrderEvent; fn evolve(&mut self, _: &OrderEvent) {} }
/// # impl Aggregate for Order { type Id = String; }
/// # #[derive(Command, Serialize, Deserialize)]
/// # #[command(name = "mark-paid")]
/// # struct MarkPaid { cents: u64 }
/// # #[derive(Debug, thiserror::Error, Serialize, Deserialize)]
/// # enum Never {}
/// # impl Decide<MarkPaid> for Order {
/// #     type Rejection = Never;
/// #     type Reply = ();
/// #     fn decide(&self, command: &MarkPaid, _: &Context) -> Result<Decision<OrderEvent>, Never> {
/// #         Ok(emit(OrderEvent::Paid { cents: command.cents }))
/// #     }
/// # }
///
/// async fn payments(received: Received<PaymentEvent>, cx: InboxContext) -> Result<(), HandleError> {
///     let PaymentEvent::Charged { order, cents } = received.event;
///     cx.on::<Order>(order).execute(MarkPaid { cents }).await?;
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let broker = MemoryConsumer::new();
/// let inbox = Inbox::named("orders-payments").from(broker.clone()).on(payments);
/// let app = App::open(Store::memory()).inbox(inbox).start().await?;
/// # broker.send_json("payment-7", "urn:payments", "payments.payment-charged.v1", "7", r#"{"order":"7","cents":500}"#);
/// # let status = app.inboxes()[0].until(|status| status.settled() == 1).await;
/// # assert_eq!((status.handled, status.dead), (1, 0), "{status}");
/// # app.shutdown().await?;
/// # Ok(()) }
/// ```
#[must_use = "an inbox does nothing until it is started"]
pub struct Inbox<C = Box<dyn Consumer>> {
    name: &'static str,
    consumer: C,
    handlers: Handlers,
    key: Arc<KeyOf>,
    options: InboxOptions,
}

impl Inbox<()> {
    /// An inbox of this name: lower-case letters, digits, `_` and `-`. What was handled is recorded under it for ever, so
    /// it never changes.
    pub fn named(name: &'static str) -> Self {
        let (handlers, options) = (Handlers::default(), InboxOptions::default());
        Self { name, consumer: (), handlers, key: Arc::new(Incoming::default_key), options }
    }

    /// Consumes from here.
    pub fn from(self, consumer: impl Consumer) -> Inbox {
        let Self { name, handlers, key, options, .. } = self;
        Inbox { name, consumer: Box::new(consumer), handlers, key, options }
    }
}

impl Inbox {
    /// Adds a handler of integration events, decoded: an async function of [`Received`] events of one set and an
    /// [`InboxContext`], or a closure that returns an `async move` block. Old versions are upcast; what is of no set is
    /// acknowledged and passed over.
    ///
    /// It may be called several times for one message, also at once after a crash: what it does beyond commands must bear
    /// that.
    pub fn on<E: EventSet, F>(mut self, handle: impl Fn(Received<E>, InboxContext) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), HandleError>> + Send + 'static,
    {
        self.handlers.add(handle);
        self
    }

    /// Handles every other message: types that are not declared, and messages that no service of Annalist has sent.
    pub fn otherwise<F>(mut self, handle: impl Fn(Arc<Incoming>, InboxContext) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), HandleError>> + Send + 'static,
    {
        self.handlers.otherwise(handle);
        self
    }

    /// Keeps those messages in order for which this is the same, instead of those with the same source and subject.
    pub fn key(self, key: impl Fn(&Incoming) -> String + Send + Sync + 'static) -> Self {
        Self { key: Arc::new(key), ..self }
    }

    /// Works with other options.
    pub fn options(self, options: InboxOptions) -> Self {
        Self { options, ..self }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The name of what it consumes.
    #[must_use]
    pub fn source(&self) -> String {
        self.consumer.name()
    }

    /// The integration events that are handled.
    pub(crate) fn declared(&self) -> &[Declared] {
        self.handlers.declared()
    }

    /// Starts the inbox: a task. Returns at once; the broker need not be there.
    pub(crate) fn start(
        self,
        commands: Arc<Commands>,
        env: Arc<dyn Env>,
        log: Arc<dyn EventStore>,
        notes: Arc<dyn Checkpoints>,
    ) -> RunningInbox {
        let Self { name: inbox, consumer, handlers, key, options } = self;
        let source = consumer.name();
        let span = tracing::info_span!("annalist.inbox", inbox, consumer = source);
        if handlers.is_empty() {
            tracing::warn!(inbox, "the inbox has no handler: it acknowledges everything and does nothing");
        }
        let (status, watch) = watch::channel(InboxStatus::new(inbox, source));
        let (stop, stopped) = watch::channel(false);
        let turns = Semaphore::new(options.handlers_max.clamp(1, Semaphore::MAX_PERMITS));
        let work = Arc::new(Work { inbox, handlers, commands, env, options, turns, status, log, notes });
        tokio::spawn(Task { consumer, key, work, stop: stopped }.run().instrument(span));
        RunningInbox::new(watch, stop)
    }
}

impl<C> fmt::Debug for Inbox<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("name", &self.name).field("options", &self.options).finish_non_exhaustive()
    }
}
