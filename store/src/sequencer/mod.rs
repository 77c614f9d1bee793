//! The sequencer: one thread that gives every append its place, and another that makes groups of them durable.
//!
//! While one group is being synced the next one is staged. Neither thread reads from the disk: what an append must be
//! checked against was looked up by its caller up to a watermark, and everything behind that is in memory.

mod commit;
mod group;
mod stage;

use std::{sync::Arc, time::Duration};

use annalist_core::{Append, AppendError, Position, StreamId, Timestamp, Version};

use crate::{
    concurrency::{
        Instant, OwnedSemaphorePermit, Receiver, RecvTimeoutError, Sender, TryRecvError, bounded, oneshot, select,
        thread,
    },
    format::KeyRow,
    limits,
    shared::Shared,
    tail::Generation,
};

use commit::Committer;
use group::Group;
use stage::Stage;
pub(crate) use stage::{Start, repetition};

/// An append on its way to the sequencer, with what its caller found up to the watermark `seen`.
///
/// It goes back to its caller with the answer: what the caller allocated is freed by the caller's thread, which spares the
/// allocator's locks, and the sequencer allocates nothing for it.
pub(crate) struct Request {
    pub(crate) append: Append,
    /// When each of its events was recorded, in their order, if that was elsewhere and before.
    pub(crate) times: Option<Vec<Timestamp>>,
    pub(crate) bytes: usize,
    /// When the caller came with it.
    pub(crate) began: Instant,
    /// Up to where the caller looked.
    pub(crate) seen: Position,
    /// The last version of each entry's stream at `seen`, in the order of the entries; behind them, for a keyed append
    /// without events, that of the store's own stream. The sequencer puts the present ones in their place.
    pub(crate) heads: Vec<Version>,
    /// Empty, with room for as many streams as there are heads: part of the answer.
    pub(crate) streams: Vec<(StreamId, Version)>,
    /// Its share of the queue, given back when it is dropped with its answer.
    pub(crate) _permit: OwnedSemaphorePermit,
}

/// A request and where its answer goes.
pub(crate) struct Call {
    pub(crate) request: Box<Request>,
    pub(crate) answer: oneshot::Sender<Answered>,
}

/// A request that has been dealt with.
pub(crate) struct Answered {
    pub(crate) request: Box<Request>,
    pub(crate) answer: Answer,
    /// Answers of others that this caller passes on, by dropping them: waking a task from one of its runtime's own threads
    /// is much cheaper than from the committer's.
    pub(crate) others: Answers,
}

/// Answers that are sent when they are dropped.
#[derive(Default)]
pub(crate) struct Answers(Vec<(oneshot::Sender<Answered>, Answered)>);

impl Drop for Answers {
    fn drop(&mut self) {
        for (caller, answered) in self.0.drain(..) {
            // A caller that no longer waits has given up its answer.
            let _ = caller.send(answered);
        }
    }
}

/// What the sequencer says.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Recorded and durable; `Request::streams` has the versions.
    Recorded {
        /// The position before the first event.
        after: Position,
        /// The position of the last event.
        last: Position,
    },
    /// Its key was recorded by an append that is durable now; the caller reads what.
    Repeated(KeyRow),
    /// Not recorded, or not known to be.
    Refused(AppendError),
    /// The caller's look-up is older than what the sequencer remembers: look again.
    Stale,
}

/// Starts both threads. They end when the sender of requests is dropped and everything sent was answered; the live
/// generation is then frozen and handed to the index.
pub(crate) fn start(
    shared: &Arc<Shared>,
    start: Start,
    requests: Receiver<Call>,
    frozen: Sender<Arc<Generation>>,
) -> std::io::Result<Vec<thread::JoinHandle<()>>> {
    // One group is being committed and one is being staged: a queue of one never fills.
    let (groups, to_commit) = bounded::<Group>(1);
    let (done, committed) = bounded::<()>(1);
    let committer = Committer::new(Arc::clone(shared));
    let sequencer = Sequencer {
        stage: Stage::new(Arc::clone(shared), start),
        committer: committer.clone(),
        requests,
        groups,
        committed,
        in_flight: false,
        pace: Pace::default(),
        frozen,
    };
    let commit_loop = move || {
        for group in to_commit {
            committer.commit(group);
            if done.send(()).is_err() {
                return;
            }
        }
    };
    Ok(vec![spawn("annalist-sequencer", move || sequencer.run())?, spawn("annalist-committer", commit_loop)?])
}

/// Starts a named thread.
pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}

struct Sequencer {
    stage: Stage,
    committer: Committer,
    requests: Receiver<Call>,
    groups: Sender<Group>,
    committed: Receiver<()>,
    in_flight: bool,
    pace: Pace,
    frozen: Sender<Arc<Generation>>,
}

/// How long a group waits for company. Callers that are answered together come back together, but the first of them would
/// be committed alone while all the others queue up behind its sync. So a group waits until it is half as large as the
/// last one, for at most a part of what the last sync took. Half, because then the other half has its answers worked on
/// while this one is synced; a lone writer never waits.
#[derive(Default)]
struct Pace {
    /// The appends in the last group.
    company: usize,
    /// The longest wait.
    patience: Duration,
    /// Until when the group in progress waits.
    until: Option<Instant>,
}

impl Pace {
    /// Until when to wait for more, if at all.
    fn wait_until(&mut self, staged: usize) -> Option<Instant> {
        if staged >= self.company / 2 {
            return None;
        }
        let now = Instant::now();
        let until = *self.until.get_or_insert(now + self.patience);
        (now < until).then_some(until)
    }

    fn committed(&mut self, appends: usize, took: Duration) {
        self.company = appends;
        self.patience = (took / limits::PATIENCE_DIVISOR).min(limits::PATIENCE_MAX);
        self.until = None;
    }
}

enum Next {
    Request(Call),
    /// Nothing to stage at present.
    Idle,
    /// The committer is free again.
    Committed,
    /// No more requests will come.
    Closed,
}

impl Sequencer {
    fn run(mut self) {
        loop {
            match self.next() {
                Next::Request(request) => {
                    self.stage.add(request);
                    if self.stage.group().is_full() {
                        self.wait_for_committer();
                        self.dispatch();
                    }
                }
                Next::Idle => self.dispatch(),
                Next::Committed => self.in_flight = false,
                Next::Closed => break,
            }
        }
        self.wait_for_committer();
        self.dispatch();
        self.wait_for_committer();
        if let Some(generation) = self.stage.freeze() {
            let _ = self.frozen.send(generation);
        }
    }

    fn next(&mut self) -> Next {
        if self.stage.group().is_empty() {
            return self.requests.recv().map_or(Next::Closed, Next::Request);
        }
        if self.in_flight && self.committed.try_recv().is_err() {
            return select! {
                recv(self.requests) -> request => request.map_or(Next::Closed, Next::Request),
                recv(self.committed) -> _ => Next::Committed,
            };
        }
        self.in_flight = false;
        match self.requests.try_recv() {
            Ok(request) => Next::Request(request),
            Err(TryRecvError::Disconnected) => Next::Closed,
            Err(TryRecvError::Empty) => match self.pace.wait_until(self.stage.group().len()) {
                None => Next::Idle,
                Some(until) => match self.requests.recv_deadline(until) {
                    Ok(request) => Next::Request(request),
                    Err(RecvTimeoutError::Timeout) => Next::Idle,
                    Err(RecvTimeoutError::Disconnected) => Next::Closed,
                },
            },
        }
    }

    fn wait_for_committer(&mut self) {
        if self.in_flight {
            let _ = self.committed.recv();
            self.in_flight = false;
        }
    }

    /// Makes the staged group durable; the committer is free. A small group is committed here: requests that come in the
    /// meantime wait in the queue without waking anybody, which costs less than staging them at once would gain. Only
    /// where staging itself takes long is it worth another thread.
    fn dispatch(&mut self) {
        let group = self.stage.take();
        if group.is_empty() {
            return;
        }
        let appends = group.len();
        if group.byte_count() < limits::GROUP_BYTES_INLINE {
            let began = Instant::now();
            self.committer.commit(group);
            self.pace.committed(appends, began.elapsed());
        } else if self.groups.send(group).is_ok() {
            self.in_flight = true;
        }
        if let Some(generation) = self.stage.freeze_if_full() {
            let _ = self.frozen.send(generation);
        }
    }
}
