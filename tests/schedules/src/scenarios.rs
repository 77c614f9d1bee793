//! What is run: a store, two to five clients, and something that they do at the same time.

#![expect(clippy::missing_panics_doc, reason = "that is how a scenario fails")]

use std::sync::Arc;

use annalist_core::{
    Append, AppendError, Checkpoints as _, Cursor, EventStore as _, Expected, Fingerprint, Position, Query, Read,
    StoreError, Version,
};
use shuttle::future::{JoinHandle, block_on, spawn};

use crate::{
    audit,
    concurrency::{choose, happens_once_in, one_of},
    rocks::Faults,
    world::{World, client, everything, key, stream, tag},
};

/// No chunk of the index in a short life.
const NO_CHUNK: usize = 1000;

fn clients<F>(world: &World, count: usize, work: impl Fn(World, usize) -> F) -> Vec<JoinHandle<()>>
where
    F: Future<Output = ()> + Send + 'static,
{
    (0..count).map(|number| client(world, |world| work(world, number))).collect()
}

/// Chunks of one event, of three, or none.
fn some_chunk() -> usize {
    one_of([1, 3, NO_CHUNK])
}

fn is_large() -> bool {
    happens_once_in(2)
}

/// Three clients append to one stream at each of its versions: one of them wins each.
pub fn versions() {
    let world = World::new(some_chunk(), Faults::default());
    let tasks = clients(&world, 3, |world, _| async move {
        let mut version = Version::ZERO;
        for _ in 0..2 {
            let append =
                Append::new().events(stream("a-1"), Expected::Exact(version), [world.event(&["x"], is_large())]);
            match world.append(append).await {
                Ok(_) => version = version.next(),
                Err(AppendError::Conflict { actual, .. }) => version = actual,
                Err(error) => panic!("{error}"),
            }
        }
    });
    world.finish(tasks, Vec::new());
}

/// Three clients use the same two keys, one of them for something else; one of the keys is recorded without events.
pub fn keys() {
    let world = World::new(some_chunk(), Faults::default());
    let tasks = clients(&world, 3, |world, number| async move {
        for id in ["with-events", "alone"] {
            let (key, mut fingerprint) = key(id);
            if number == 2 {
                fingerprint = Fingerprint::new([8; 16]);
            }
            let append = Append::new().keyed(key, fingerprint, "reply");
            let append = match id {
                "alone" => append,
                _ => append.events(stream("a-1"), Expected::Any, [world.event(&["x"], is_large())]),
            };
            match world.append(append).await {
                Ok(_) | Err(AppendError::KeyReused { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    world.finish(tasks, Vec::new());
}

/// Three clients record what nobody may have recorded before: one of them does.
pub fn conditions() {
    let world = World::new(some_chunk(), Faults::default());
    let tasks = clients(&world, 3, |world, number| async move {
        let home = stream(if number == 1 { "a-2" } else { "a-1" });
        let append = Append::new()
            .events(home, Expected::Any, [world.event(&["x"], is_large())])
            .unless(Query::tags([tag("x")]), Cursor::START);
        match world.append(append).await {
            Ok(_) | Err(AppendError::ConditionFailed { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    });
    world.finish(tasks, Vec::new());
}

/// Two clients write and two read, by every way to the log, while generations become chunks.
pub fn reads() {
    let world = World::new(one_of([1, 2]), Faults::default());
    let mut tasks = clients(&world, 2, |world, number| async move {
        for _ in 0..2 {
            let names = ["a-1", if number == 0 { "a-1" } else { "a-2" }];
            let append = names.iter().fold(Append::new(), |append, name| {
                append.events(stream(name), Expected::Any, [world.event(&["x"], is_large())])
            });
            world.append(append).await.expect("nothing is in the way");
        }
    });
    tasks.extend(clients(&world, 2, |world, _| async move {
        for _ in 0..2 {
            world.read(some_read()).await;
            if happens_once_in(2) {
                world.statistics().await;
            }
        }
    }));
    world.finish(tasks, Vec::new());
}

/// Two clients follow what two others write, until the store closes.
pub fn subscriptions() {
    let world = World::new(some_chunk(), Faults::default());
    let tasks = clients(&world, 2, |world, number| async move {
        for _ in 0..2 {
            let tags: &[&str] = if number == 0 { &["x"] } else { &[] };
            let append = Append::new().events(stream("a-1"), Expected::Any, [world.event(tags, is_large())]);
            world.append(append).await.expect("nothing is in the way");
        }
    });
    let queries = [(Query::all(), 4), (Query::tags([tag("x")]), 2)];
    let followers = queries.map(|(query, count)| {
        let world = world.clone();
        spawn(async move { world.follow(query, count).await })
    });
    // All of them get all of it before the store closes, without anything else that would wake them.
    let others = followers.map(|follower| {
        let following = block_on(follower).expect("a task comes to its end");
        spawn(following.until_closed())
    });
    world.finish(tasks, others.into());
}

/// Whatever clients may ask for, drawn at random, with a subscriber beside them.
pub fn anything() {
    let world = World::new(some_chunk(), Faults::default());
    let following = block_on(world.follow(Query::all(), 0));
    let tasks = clients(&world, 3, |world, _| async move {
        for _ in 0..2 {
            match choose(6) {
                0 => world.statistics().await,
                1 => _ = world.read(some_read()).await,
                _ => _ = world.append(some_append(&world)).await,
            }
        }
    });
    world.finish(tasks, vec![spawn(following.until_closed())]);
}

fn some_read() -> Read {
    one_of(everything())
}

/// Of a stream or two, at a version that is likely, with a key or a condition or neither.
fn some_append(world: &World) -> Append {
    let expected = [Expected::Any, Expected::NoStream, Expected::StreamExists, Expected::Exact(Version::new(1))];
    let mut append = Append::new();
    for name in ["a-1", "a-2"].iter().take(1 + choose(2)) {
        let tags: &[&str] = if happens_once_in(2) { &["x"] } else { &[] };
        append = append.events(stream(name), one_of(expected), [world.event(tags, is_large())]);
    }
    if happens_once_in(3) {
        append = append.guard(stream("b-1"), one_of([Expected::Any, Expected::NoStream]));
    }
    match choose(4) {
        0 => {
            let (key, fingerprint) = key(one_of(["one", "other"]));
            append.keyed(key, fingerprint, "reply")
        }
        1 => {
            let (key, fingerprint) = key(one_of(["one", "other"]));
            Append::new().keyed(key, fingerprint, "reply")
        }
        2 => append.unless(Query::tags([tag("x")]), Cursor::START),
        _ => append,
    }
}

/// One of the writes fails, and what it was to write is there or not.
pub fn failed_write() {
    let faults = Faults { write: 1 + choose(3), is_written: happens_once_in(2), chunk: 0 };
    let world = World::new(some_chunk(), faults);
    let mut tasks = clients(&world, 3, |world, number| async move {
        for _ in 0..2 {
            let (key, fingerprint) = key("one");
            let mut append = Append::new().events(stream("a-1"), Expected::Any, [world.event(&["x"], is_large())]);
            if number < 2 {
                append = append.keyed(key, fingerprint, "reply");
            }
            let _ = world.append(append).await;
        }
    });
    tasks.push(client(&world, |world| async move {
        world.read(some_read()).await;
        let saved = world.store.save("consumer", "note".into()).await;
        assert!(saved.is_ok() || world.ledger.disk.has_failed(), "a note is refused for no reason");
    }));
    world.finish(tasks, Vec::new());
}

/// The index takes no more chunks: appends are refused when memory is full, and nobody waits for ever.
pub fn failed_index() {
    let world = World::new(1, Faults { chunk: 1 + choose(2), ..Faults::default() });
    let tasks = clients(&world, 3, |world, _| async move {
        for _ in 0..3 {
            let append = Append::new().events(stream("a-1"), Expected::Any, [world.event(&["x"], is_large())]);
            let _ = world.append(append).await;
        }
    });
    world.finish(tasks, Vec::new());
}

/// Two clients in three do not wait for their answers, which costs nobody else's.
pub fn abandoned() {
    let world = World::new(some_chunk(), Faults { write: choose(4), ..Faults::default() });
    let tasks = clients(&world, 4, |world, number| async move {
        for _ in 0..2 {
            let append = Append::new().events(stream("a-1"), Expected::Any, [world.event(&["x"], is_large())]);
            if number % 2 == 0 && happens_once_in(2) {
                world.abandon(append).await;
            } else {
                let _ = world.append(append).await;
            }
        }
    });
    world.finish(tasks, Vec::new());
}

/// The store closes, or all handles are dropped, while clients append, read and follow: all of it ends.
pub fn closing() {
    let world = World::new(some_chunk(), Faults::default());
    let is_closed = happens_once_in(2);
    let mut tasks = clients(&world, 2, |world, _| async move {
        for _ in 0..2 {
            let append = Append::new().events(stream("a-1"), Expected::Any, [world.event(&["x"], is_large())]);
            match world.append(append).await {
                Ok(_) | Err(AppendError::Store(StoreError::Closed)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    let following = block_on(world.follow(Query::all(), 0));
    tasks.push(spawn(following.until_closed()));
    if is_closed {
        tasks.push(client(&world, |world| async move { world.close().await }));
        tasks.push(client(&world, |world| async move {
            match world.store.read(Read::all(Position::ZERO)).await {
                Ok(mut batches) => match batches.next().await {
                    Ok(_) | Err(StoreError::Closed) => {}
                    Err(error) => panic!("{error}"),
                },
                Err(StoreError::Closed) => {}
                Err(error) => panic!("{error}"),
            }
        }));
    }
    let ledger = Arc::clone(&world.ledger);
    drop(world);
    block_on(async {
        for task in tasks {
            task.await.expect("a task comes to its end");
        }
    });
    audit::judge(&ledger);
}
