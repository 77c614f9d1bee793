//! A broker in memory, for tests and for looking at what would be published.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use super::{
    message::Message,
    publisher::{PublishError, Published, Publisher, Tail},
};

/// A broker that keeps messages in memory, and fails when it is told to. Clones are publishers to the same broker.
#[derive(Debug, Default)]
pub struct MemoryPublisher {
    broker: Arc<Mutex<Broker>>,
    /// What the broker held when this publisher resumed or published last; `None` until it resumes.
    expected: Option<usize>,
    /// Changes with every message that is stored.
    news: Arc<watch::Sender<()>>,
}

#[derive(Debug, Default)]
struct Broker {
    messages: Vec<Message>,
    down: bool,
    /// How many messages are stored before the broker goes down in the middle of a window.
    down_after: Option<usize>,
    /// Messages with this in their type are refused.
    poison: Option<String>,
}

impl Clone for MemoryPublisher {
    fn clone(&self) -> Self {
        Self { broker: Arc::clone(&self.broker), expected: None, news: Arc::clone(&self.news) }
    }
}

impl MemoryPublisher {
    /// An empty broker.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What the broker holds, in order.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.broker().messages.clone()
    }

    /// What the broker holds behind the first so many messages.
    pub(crate) fn messages_from(&self, first: usize) -> Vec<Message> {
        self.broker().messages.get(first..).unwrap_or_default().to_vec()
    }

    /// Changes when there is something new.
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// The broker cannot be reached from now on.
    pub fn go_down(&self) {
        self.broker().down = true;
    }

    /// The broker stores so many more messages and can then not be reached: in the middle of a window, as it happens.
    pub fn go_down_after(&self, messages: usize) {
        self.broker().down_after = Some(messages);
    }

    /// The broker can be reached again.
    pub fn come_up(&self) {
        let mut broker = self.broker();
        (broker.down, broker.down_after) = (false, None);
    }

    /// The broker refuses messages of this type from now on.
    pub fn refuse(&self, event_type: impl Into<String>) {
        self.broker().poison = Some(event_type.into());
    }

    /// The broker loses all messages but the first ones, though it had acknowledged them.
    pub fn lose_all_but(&self, messages: usize) {
        self.broker().messages.truncate(messages);
    }

    fn broker(&self) -> std::sync::MutexGuard<'_, Broker> {
        self.broker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Publisher for MemoryPublisher {
    fn name(&self) -> String {
        "memory".to_owned()
    }

    async fn resume(&mut self) -> Result<Tail, PublishError> {
        self.expected = None;
        let broker = self.broker();
        if broker.down {
            return Err(unreachable());
        }
        let tail = Tail { sequence: broker.messages.len() as u64, last: broker.messages.last().map(Published::from) };
        let expected = broker.messages.len();
        drop(broker);
        self.expected = Some(expected);
        Ok(tail)
    }

    async fn publish(&mut self, messages: &[Message]) -> Result<u64, PublishError> {
        let Some(expected) = self.expected.take() else {
            return Err(PublishError::Unavailable { detail: "resume first".to_owned() });
        };
        let mut broker = self.broker();
        for (expected, message) in (expected..).zip(messages) {
            if broker.down {
                return Err(unreachable());
            }
            if broker.messages.len() != expected {
                let detail = format!("expected {expected} messages, there are {}", broker.messages.len());
                return Err(PublishError::Fenced { detail });
            }
            if broker.poison.as_deref() == Some(&*message.event.event_type) {
                return Err(PublishError::Refused { id: message.id(), detail: "poisoned".to_owned() });
            }
            broker.messages.push(message.clone());
            self.news.send_replace(());
            if let Some(left) = &mut broker.down_after {
                *left = left.saturating_sub(1);
                broker.down = *left == 0;
            }
        }
        let len = broker.messages.len();
        drop(broker);
        self.expected = Some(len);
        Ok(len as u64)
    }
}

fn unreachable() -> PublishError {
    PublishError::Unavailable { detail: "the broker in memory is down".to_owned() }
}
