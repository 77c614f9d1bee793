//! What stands on disk for ever, and the bounds of patience.

use std::{collections::BTreeMap, time::Duration};

use annalist_core::Key;
use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Command, CommandError, CommandId, CommandOptions, Context, Gate, fingerprint::fingerprint};
use crate::env::{Env, SystemEnv, TestEnv};

/// A command whose map gives its entries in whatever order a test wants.
#[derive(Serialize, Deserialize)]
struct Pack(#[serde(with = "pairs")] Vec<(String, u32)>);

impl Command for Pack {
    const NAME: &'static str = "pack";
}

mod pairs {
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ptr_arg, reason = "serde calls it with this type")]
    pub(super) fn serialize<S: Serializer>(pairs: &Vec<(String, u32)>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(pairs.iter().map(|(name, count)| (name, count)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, u32)>, D::Error> {
        Ok(super::BTreeMap::deserialize(deserializer)?.into_iter().collect())
    }
}

fn pack(pairs: &[(&str, u32)]) -> String {
    let command = Pack(pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect());
    format!("{:?}", fingerprint(&command, None).unwrap())
}

#[test]
fn a_fingerprint_is_of_the_content_whatever_its_order() {
    assert_eq!(pack(&[("apples", 1), ("pears", 2)]), pack(&[("pears", 2), ("apples", 1)]));
    assert_ne!(pack(&[("apples", 1), ("pears", 2)]), pack(&[("apples", 2), ("pears", 1)]));
    assert_ne!(pack(&[("apples", 1)]), pack(&[("apples", 11)]));
    assert_ne!(pack(&[]), pack(&[("", 0)]));
}

#[test]
fn fingerprints_stay_what_they_were() {
    // Changing them makes every repeated command look like another one. This value was computed outside of Rust:
    // printf 'pack\0{"apples":1,"pears":2,}' | sha256sum
    let expected = "Fingerprint(b025c01e274f981c7802c4fdbe3f4691)";
    assert_eq!(pack(&[("apples", 1), ("pears", 2)]), expected);
}

#[test]
fn ids_stay_what_they_were() {
    let id = CommandId::of_key(&Key::new("account-alice", "request-1").unwrap());
    let cx = Context::new(id, TestEnv::START);
    // Version 5 UUIDs, computed outside of Rust.
    let ids = [id.uuid(), id.event_id(0).uuid(), id.event_id(1).uuid(), cx.new_id(0), cx.new_id(1)];
    assert_eq!(
        ids.map(|id| id.to_string()),
        [
            "368e0072-c6a5-589b-9eb3-3545490b082c",
            "033ec400-2a1c-594d-a721-05245dc0f919",
            "07987fef-785c-5658-8f2a-8614d0672d80",
            "91b31ddb-ad2a-54b5-8696-d48372ee06cb",
            "8bb4a247-e91c-5e5d-b411-e70def331714"
        ]
    );
}

#[test]
fn a_scope_and_a_key_are_not_run_together() {
    let id = |scope, key| CommandId::of_key(&Key::new(scope, key).unwrap());
    assert_ne!(id("account-a", "b1"), id("account-ab", "1"));
}

#[test]
fn pauses_double_up_to_a_bound() {
    let options = CommandOptions::default();
    let millis = [1, 2, 3, 8, 9, 1000].map(|failed| options.backoff(failed, 1.0).as_millis());
    assert_eq!(millis, [2, 4, 8, 250, 250, 250]);
    assert_eq!(options.backoff(3, 0.5), Duration::from_millis(4));
    assert_eq!(options.backoff(3, 0.0), Duration::ZERO);
}

#[tokio::test]
async fn the_gate_bounds_what_is_in_flight() {
    let gate = Gate::new(&CommandOptions { in_flight_max: 2, ..CommandOptions::default() });
    let (first, _second) = (gate.enter().await.unwrap(), gate.enter().await.unwrap());
    let third = gate.enter();
    tokio::pin!(third);
    assert!(third.as_mut().now_or_never().is_none());
    drop(first);
    let third = third.await;
    assert!(third.is_ok());
    assert!(!gate.close(Duration::ZERO).await, "two are still in flight");
    assert!(matches!(gate.enter().await, Err(CommandError::Closed)));
}

#[tokio::test]
async fn who_waits_at_a_closing_gate_is_let_in_or_told() {
    let gate = Gate::new(&CommandOptions { in_flight_max: 1, ..CommandOptions::default() });
    let first = gate.enter().await.unwrap();
    let (waiting, closing) = (gate.enter(), gate.close(Duration::from_secs(30)));
    tokio::pin!(waiting, closing);
    assert!(waiting.as_mut().now_or_never().is_none());
    assert!(closing.as_mut().now_or_never().is_none());
    drop(first);
    // It was there before the gate began to close.
    drop(waiting.await.unwrap());
    assert!(closing.await);
}

#[test]
fn the_test_environment_is_the_same_each_time() {
    let env = TestEnv::default();
    let other = TestEnv::default();
    let ids = [env.new_id(), env.new_id()];
    assert_eq!(ids, [Uuid::from_u128(1), Uuid::from_u128(2)]);
    assert_eq!(other.new_id(), ids[0]);
    assert_eq!((env.now(), other.now()), (TestEnv::START, TestEnv::START));
    let clone = env.clone();
    clone.advance(Duration::from_micros(5));
    assert_eq!(env.now().as_micros(), TestEnv::START.as_micros() + 5);
    let jitters: Vec<_> = (0..8).map(|_| env.jitter()).collect();
    assert!(jitters.iter().all(|jitter| (0.0..1.0).contains(jitter)), "{jitters:?}");
    assert!(jitters.windows(2).all(|pair| (pair[0] - pair[1]).abs() > 0.1), "{jitters:?}");
}

#[test]
fn the_systems_environment_moves_on() {
    let env = SystemEnv;
    assert!(env.now() > TestEnv::START);
    assert_ne!(env.new_id(), env.new_id());
    let jitters: Vec<_> = (0..1000).map(|_| env.jitter()).collect();
    assert!(jitters.iter().all(|jitter| (0.0..1.0).contains(jitter)));
    let mean = jitters.iter().sum::<f64>() / 1000.0;
    assert!((0.4..0.6).contains(&mean), "{mean}");
}
