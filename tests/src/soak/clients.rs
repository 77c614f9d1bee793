//! Who writes, reads and follows.

use std::{sync::Arc, time::Duration};

use annalist_client::RemoteStore;
use annalist_core::{
    Append, AppendError, Cursor, Delivery, EventId, EventStore as _, EventType, Expected, Fingerprint, Key, NewEvent,
    Query, Read, Version,
};
use tokio::{sync::watch, time::sleep};

use super::{
    CATEGORIES, Wrong,
    ledger::{Goal, InOrder, Ledger, category, is_right, payload, stream, stream_id},
};

/// What a slow follower takes for an event: less than a tenth of what is appended.
const SLOW: Duration = Duration::from_millis(20);
/// How long a reader pauses.
const READ_PAUSE: Duration = Duration::from_millis(200);
/// How many events it reads.
const READ_EVENTS: u64 = 100;

/// Appends with keys, until it is told to stop and its last append is acknowledged. Says how many it had to repeat.
pub(super) async fn write(
    store: RemoteStore,
    writer: usize,
    ledger: Arc<Ledger>,
    pause: Duration,
    mut stopped: watch::Receiver<bool>,
) -> Result<u64, Wrong> {
    let (to, name) = (stream_id(writer), stream(writer));
    let event_type = EventType::new("written").expect("a word");
    let mut repeated = 0;
    loop {
        let version = ledger.acknowledged(writer) + 1;
        let key = Key::new("soak", format!("{writer}/{version}")).map_err(|error| error.to_string())?;
        let event = NewEvent::new(EventId::generate(), event_type.clone(), payload(&name, version));
        let append = Append::new().events(to.clone(), Expected::Any, [event]);
        let append = append.keyed(key, Fingerprint::new([1; 16]), "");
        let appended = loop {
            match store.append(append.clone()).await {
                Ok(appended) => break appended,
                Err(AppendError::Unknown { .. } | AppendError::Unavailable { .. }) => repeated += 1,
                Err(error) => return Err(format!("version {version} of {name}: {error}")),
            }
        };
        if appended.streams != [(to.clone(), Version::new(version))] {
            return Err(format!("version {version} of {name} was recorded as {:?}", appended.streams));
        }
        ledger.acknowledge(writer);
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => return Ok(repeated),
            () = sleep(pause) => {}
        }
    }
}

/// Reads the ends and the beginnings of streams: what is acknowledged must be there, without gaps.
pub(super) async fn read(
    store: RemoteStore,
    reader: usize,
    ledger: Arc<Ledger>,
    mut goal: watch::Receiver<Option<Arc<Goal>>>,
) -> Result<(), Wrong> {
    for round in reader.. {
        let writer = round.wrapping_mul(31) % ledger.writers();
        let backward = round % 2 == 0;
        let before = ledger.acknowledged(writer);
        let from_the_end = Read::stream_backward(stream_id(writer), Version::MAX);
        let read = if backward { from_the_end } else { Read::stream(stream_id(writer), Version::ZERO) };
        let found = events(&store, read.limit(READ_EVENTS)).await?;
        let name = stream(writer);
        let first = found.first().map_or(0, |event| event.1);
        let expected: Vec<u64> = if backward {
            (first.saturating_sub(READ_EVENTS) + 1..=first).rev().collect()
        } else {
            (1..=(found.len() as u64)).collect()
        };
        let versions: Vec<u64> = found.iter().map(|event| event.1).collect();
        let enough = if backward { first >= before } else { found.len() as u64 >= before.min(READ_EVENTS) };
        if !enough || versions != expected || found.iter().any(|event| event.0 != name) {
            return Err(format!("of {name}, {before} versions long, were read: {versions:?}"));
        }
        tokio::select! {
            biased;
            _ = goal.wait_for(Option::is_some) => return Ok(()),
            () = sleep(READ_PAUSE) => {}
        }
    }
    Ok(())
}

async fn events(store: &RemoteStore, read: Read) -> Result<Vec<(String, u64)>, Wrong> {
    let mut found = Vec::new();
    // While the server is away for longer than a call takes, it is asked again.
    let mut batches = loop {
        match store.read(read.clone()).await {
            Ok(batches) => break batches,
            Err(annalist_core::StoreError::Unavailable { .. }) => {}
            Err(error) => return Err(error.to_string()),
        }
    };
    loop {
        let batch = batches.next().await.map_err(|error| error.to_string())?;
        if batch.is_empty() {
            return Ok(found);
        }
        for event in batch {
            is_right(&event)?;
            found.push((event.stream().to_owned(), event.version.get()));
        }
    }
}

/// Follows a category, or everything, slowly or not, until it has seen all there is.
pub(super) async fn follow(
    store: RemoteStore,
    follower: usize,
    mut goal: watch::Receiver<Option<Arc<Goal>>>,
) -> Result<(), Wrong> {
    // Each fourth is slow, each fifth follows everything.
    let (is_slow, of) = (follower % 4 == 3, (follower % 5 != 4).then_some(follower % CATEGORIES));
    let query = of.map_or_else(Query::all, |of| Query::category(category(of)));
    let mut followed = store.subscribe(query, Cursor::START).await.map_err(|error| error.to_string())?;
    let mut seen = InOrder::default();
    loop {
        let known = goal.borrow().clone();
        if let Some(goal) = &known
            && seen.count() >= goal.events(of)
        {
            return goal.is_met_by(&seen, of);
        }
        let delivered = tokio::select! {
            delivered = followed.next() => delivered.map_err(|error| error.to_string())?,
            _ = goal.wait_for(Option::is_some), if known.is_none() => continue,
        };
        let Delivery::Events(events) = delivered else { continue };
        for event in &events {
            seen.see(event)?;
            if is_slow && goal.borrow().is_none() {
                tokio::select! {
                    _ = goal.wait_for(Option::is_some) => {}
                    () = sleep(SLOW) => {}
                }
            }
        }
    }
}
