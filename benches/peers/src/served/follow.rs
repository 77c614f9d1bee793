//! How soon a subscriber has what is appended.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use benches::Failure;
use tokio::{
    sync::oneshot,
    time::{MissedTickBehavior, interval},
};

use crate::{
    batch::{How, Writer},
    figures::Figures,
    load::{histogram, record},
    peer::Peer,
};

/// A store that tells what is appended.
pub(crate) trait Follow: Peer {
    /// Subscribes to everything from the beginning of the log, says when it is caught up, and calls for each event that comes.
    /// Goes on until it is dropped.
    fn follow(
        &self,
        caught_up: oneshot::Sender<()>,
        each: impl FnMut() + Send,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Appends so many events per second, one at a time, while one subscriber follows; the latency is from the call of the append
/// to the moment at which the subscriber has the event. The first tenth does not count.
pub(super) async fn follow<P: Follow>(peer: &Arc<P>, rate: u64, seconds: f64) -> Result<Figures, Failure> {
    let called = Arc::new(Mutex::new(VecDeque::new()));
    let mut latency_us = histogram()?;
    let (caught_up, is_caught_up) = oneshot::channel();
    let each = || {
        let now = Instant::now();
        if let Some(Some(called)) = called.lock().unwrap_or_else(PoisonError::into_inner).pop_front() {
            record(&mut latency_us, called, now);
        }
    };
    let appending = async {
        is_caught_up.await?;
        let duration = Duration::from_secs_f64(seconds);
        let (mut writer, begin) = (Writer::new(0, How::Streams)?, Instant::now() + duration / 10);
        let mut ticks = interval(Duration::from_secs(1) / u32::try_from(rate)?);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while Instant::now() < begin + duration {
            ticks.tick().await;
            let batch = writer.next(1);
            let now = Instant::now();
            called.lock().unwrap_or_else(PoisonError::into_inner).push_back((now >= begin).then_some(now));
            peer.append(batch).await?;
        }
        // What was appended last is on its way.
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok::<_, Failure>(())
    };
    tokio::select! {
        followed = peer.follow(caught_up, each) => {
            followed?;
            return Err("the subscription ended".into());
        }
        appended = appending => appended?,
    }
    let left = called.lock().unwrap_or_else(PoisonError::into_inner).len();
    if left > 0 {
        return Err(format!("{left} events did not arrive").into());
    }
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let events = latency_us.len() as f64 / seconds;
    Ok(Figures::of(&latency_us, events))
}
