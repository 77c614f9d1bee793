//! Questions that share a call: each costs a message on it rather than a call of its own.

use std::{collections::HashMap, sync::Arc};

use annalist_core::StoreError;
use annalist_proto::{
    PipelineRequest, store_status,
    v1::{self, event_store_client::EventStoreClient},
};
use bytes::Bytes;
use futures_util::{Stream, stream::poll_fn};
use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};
use tonic::{Code, Request, Response, Status, Streaming, metadata::MetadataMap, transport::Channel};

use crate::{
    failure::{Failure, said},
    limits::{PIPELINE_ASK_AGAIN, PIPELINE_QUEUE},
};

/// What is asked on one kind of call, and how it is answered.
pub(crate) trait Kind: Send + 'static {
    /// A question, and how it is sent.
    type Question: Send;
    /// See [`Kind::Question`].
    type Asked: Send + 'static;
    /// An answer, and what it is sent in.
    type Answer: Send;
    /// See [`Kind::Answer`].
    type Said: Send + 'static;

    /// Opens a call.
    fn open(
        client: EventStoreClient<Channel>,
        asked: Request<impl Stream<Item = Self::Asked> + Send + 'static>,
    ) -> impl Future<Output = Result<Response<Streaming<Self::Said>>, Status>> + Send;

    /// A question with its number, and the trace that it is part of.
    fn asked(number: u64, question: Self::Question, trace: Option<v1::TraceContext>) -> Self::Asked;

    /// Which question this is about, and what it says.
    fn understood(said: Self::Said) -> (u64, Said<Self::Answer>);
}

/// What a server says on a shared call.
pub(crate) enum Said<A> {
    /// The answer to one question.
    Answer(Result<A, Status>),
    /// Questions with higher numbers are not taken.
    Closing,
}

/// The call that questions share, opened when there is one, and again when it is over.
pub(crate) struct Pipeline<K: Kind>(Mutex<Calls<K>>);

struct Calls<K: Kind> {
    /// The one that takes questions.
    open: Option<Call<K>>,
    /// What listens to the answers, of calls that take no more too. They end with their calls, or with the client.
    listening: JoinSet<()>,
}

/// A call that takes questions.
struct Call<K: Kind> {
    questions: mpsc::Sender<K::Asked>,
    waiting: Arc<Mutex<Waiting<K::Answer>>>,
}

/// Who waits for an answer, and whether more may come.
struct Waiting<A> {
    /// The number of the question that was sent last.
    sent: u64,
    answers: HashMap<u64, oneshot::Sender<Result<A, Status>>>,
    /// What becomes of a question that is not sent, because the call takes no more.
    over: Option<Status>,
    /// When the server said that it has no such calls.
    missing: Option<Instant>,
}

impl<K: Kind> Pipeline<K> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Calls { open: None, listening: JoinSet::new() }))
    }

    /// Whether the server has such calls, as far as is known. One that is older than they are has not; now and then it is asked
    /// again, since it may have been upgraded.
    pub(crate) fn is_known(&self) -> bool {
        let missing = self.0.lock().open.as_ref().and_then(|call| call.waiting.lock().missing);
        missing.is_none_or(|at| at.elapsed() >= PIPELINE_ASK_AGAIN)
    }

    /// Asks on the shared call, or on a new one, with a client and headers for all that will be asked on it. Whatever ends the call ends this too, with its status; what had not been taken by then ends as
    /// it does with a server that closes.
    pub(crate) async fn ask(
        &self,
        question: K::Question,
        trace: Option<v1::TraceContext>,
        open: impl FnOnce() -> (EventStoreClient<Channel>, MetadataMap),
    ) -> Result<Response<K::Answer>, Status> {
        let Call { questions, waiting } = self.0.lock().call(open);
        let Ok(place) = questions.reserve().await else { return Err(waiting.lock().status()) };
        let (answer, answered) = oneshot::channel();
        let number = {
            // Numbers go up in the order in which questions are sent.
            let mut waiting = waiting.lock();
            if waiting.over.is_some() {
                return Err(waiting.status());
            }
            waiting.sent += 1;
            let number = waiting.sent;
            waiting.answers.insert(number, answer);
            place.send(K::asked(number, question, trace));
            number
        };
        let _forget = Forget { waiting: &waiting, number };
        answered.await.unwrap_or_else(|_| Err(Status::unknown("the client ended"))).map(Response::new)
    }
}

/// Whoever gives up waiting is forgotten.
struct Forget<'a, A> {
    waiting: &'a Mutex<Waiting<A>>,
    number: u64,
}

impl<A> Drop for Forget<'_, A> {
    fn drop(&mut self) {
        self.waiting.lock().answers.remove(&self.number);
    }
}

impl<K: Kind> Calls<K> {
    /// The call that takes questions.
    fn call(&mut self, open: impl FnOnce() -> (EventStoreClient<Channel>, MetadataMap)) -> Call<K> {
        if let Some(call) = &self.open
            && call.waiting.lock().over.is_none()
        {
            return call.clone();
        }
        while self.listening.try_join_next().is_some() {}
        let (questions, mut sending) = mpsc::channel(PIPELINE_QUEUE);
        let waiting = Waiting { sent: 0, answers: HashMap::new(), over: None, missing: None };
        let call = Call { questions, waiting: Arc::new(Mutex::new(waiting)) };
        let (client, metadata) = open();
        let mut asked = Request::new(poll_fn(move |context| sending.poll_recv(context)));
        *asked.metadata_mut() = metadata;
        self.listening.spawn(listen::<K>(client, asked, Arc::clone(&call.waiting)));
        self.open.insert(call).clone()
    }
}

impl<K: Kind> Clone for Call<K> {
    fn clone(&self) -> Self {
        Self { questions: self.questions.clone(), waiting: Arc::clone(&self.waiting) }
    }
}

async fn listen<K: Kind>(
    client: EventStoreClient<Channel>,
    asked: Request<impl Stream<Item = K::Asked> + Send + 'static>,
    waiting: Arc<Mutex<Waiting<K::Answer>>>,
) {
    let why = match K::open(client, asked).await {
        Ok(answers) => match answer::<K>(answers.into_inner(), &waiting).await {
            Ok(()) => "the server ended the call".to_owned(),
            // What it was about does not matter: questions were taken, and what became of them is not known.
            Err(status) => said(&status),
        },
        // It took nothing. What is asked again is asked by calls of its own.
        Err(status) if status.code() == Code::Unimplemented => return waiting.lock().miss(Instant::now()),
        Err(status) => match Failure::of_reading(status.clone()) {
            Failure::Lost(why) => why,
            Failure::NotTaken(_) | Failure::Refused(_) => return waiting.lock().end(&status, &status),
        },
    };
    waiting.lock().end(&Status::unknown(why), &closed());
}

/// Hands on answers until there are no more.
async fn answer<K: Kind>(mut answers: Streaming<K::Said>, waiting: &Mutex<Waiting<K::Answer>>) -> Result<(), Status> {
    while let Some(said) = answers.message().await? {
        let (number, said) = K::understood(said);
        let mut waiting = waiting.lock();
        match said {
            Said::Closing => waiting.close(number),
            // Who is not there any more has given up.
            Said::Answer(answer) => _ = waiting.answers.remove(&number).map(|waits| waits.send(answer)),
        }
    }
    Ok(())
}

impl<A> Waiting<A> {
    /// The server took everything up to a number, and takes no more.
    fn close(&mut self, taken: u64) {
        for (_, answer) in self.answers.extract_if(|number, _| *number > taken) {
            _ = answer.send(Err(closed()));
        }
        self.over = Some(closed());
    }

    /// There will be no more answers: what becomes of the questions that were sent, and of those that were not.
    fn end(&mut self, sent: &Status, unsent: &Status) {
        for (_, answer) in self.answers.drain() {
            _ = answer.send(Err(sent.clone()));
        }
        self.over.get_or_insert_with(|| unsent.clone());
    }

    /// The server has no such calls.
    fn miss(&mut self, now: Instant) {
        tracing::debug!("the server is older than calls that are shared; each question is a call of its own");
        self.missing = Some(now);
        self.end(&closed(), &closed());
    }

    /// Why a question that was not sent cannot be.
    fn status(&self) -> Status {
        self.over.clone().unwrap_or_else(closed)
    }
}

/// What says that nothing was taken.
fn closed() -> Status {
    store_status(&StoreError::Closed)
}

/// Appends.
pub(crate) enum Appends {}

impl Kind for Appends {
    /// See [`encode_append`](annalist_proto::encode_append).
    type Question = Bytes;
    type Asked = PipelineRequest;
    type Answer = v1::AppendResponse;
    type Said = v1::PipelineResponse;

    async fn open(
        mut client: EventStoreClient<Channel>,
        asked: Request<impl Stream<Item = Self::Asked> + Send + 'static>,
    ) -> Result<Response<Streaming<Self::Said>>, Status> {
        client.pipeline(asked).await
    }

    fn asked(number: u64, append: Bytes, trace: Option<v1::TraceContext>) -> PipelineRequest {
        PipelineRequest { number, append, trace }
    }

    fn understood(said: v1::PipelineResponse) -> (u64, Said<v1::AppendResponse>) {
        use v1::pipeline_response::Answer;
        let answer = match said.answer {
            Some(Answer::Appended(appended)) => Ok(v1::AppendResponse { appended: Some(appended) }),
            Some(Answer::Refusal(refusal)) => Err(refusal.into()),
            Some(Answer::Closing(_)) => return (said.number, Said::Closing),
            None => Err(not_understood()),
        };
        (said.number, Said::Answer(answer))
    }
}

/// Reads that are expected to be short.
pub(crate) enum Lookups {}

impl Kind for Lookups {
    type Question = v1::ReadRequest;
    type Asked = v1::LookupRequest;
    type Answer = v1::Found;
    type Said = v1::LookupResponse;

    async fn open(
        mut client: EventStoreClient<Channel>,
        asked: Request<impl Stream<Item = Self::Asked> + Send + 'static>,
    ) -> Result<Response<Streaming<Self::Said>>, Status> {
        client.lookup(asked).await
    }

    fn asked(number: u64, read: v1::ReadRequest, trace: Option<v1::TraceContext>) -> v1::LookupRequest {
        v1::LookupRequest { number, read: Some(read), trace }
    }

    fn understood(said: v1::LookupResponse) -> (u64, Said<v1::Found>) {
        use v1::lookup_response::Answer;
        let answer = match said.answer {
            Some(Answer::Found(found)) => Ok(found),
            Some(Answer::Refusal(refusal)) => Err(refusal.into()),
            Some(Answer::Closing(_)) => return (said.number, Said::Closing),
            None => Err(not_understood()),
        };
        (said.number, Said::Answer(answer))
    }
}

fn not_understood() -> Status {
    Status::unknown("the server's answer cannot be understood; use a client that is as new as the server")
}

#[cfg(test)]
mod tests;
