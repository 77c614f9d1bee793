//! Many transfers at once, killed at any point, several times: money is conserved, and each one ends.

use std::{collections::BTreeSet, sync::Arc};

use annalist::{
    App, Store,
    projection::{KeyValueStore, MemoryKeyValue},
    saga::{Begin, InstanceState, SagaOptions},
};
use proptest::prelude::*;
use tokio::{runtime, select};

use crate::{
    cut::CutStore,
    support::{World, cents, deposit, inputs, request, settled, until},
    transfer::Transfer,
};

const ACCOUNTS: [&str; 4] = ["alice", "bob", "closed", "slow"];

#[derive(Clone, Debug)]
struct Plan {
    /// From, to, cents.
    transfers: Vec<(usize, usize, u64)>,
    /// After how many appends each process is killed.
    kills: Vec<u64>,
    /// Whether each process finds the rows of the one before.
    keeps_rows: bool,
    /// How many instances each process works on at once.
    dispatch_max: usize,
}

fn plan() -> impl Strategy<Value = Plan> {
    let transfer = (0..ACCOUNTS.len(), 0..ACCOUNTS.len(), 1..70_u64);
    let transfers = prop::collection::vec(transfer, 1..8);
    (transfers, prop::collection::vec(1..25_u64, 0..5), any::<bool>(), 1..5_usize)
        .prop_map(|(transfers, kills, keeps_rows, dispatch_max)| Plan { transfers, kills, keeps_rows, dispatch_max })
}

async fn run(plan: Plan) {
    let world = World::new();
    let seed = world.app().start().await.unwrap();
    for account in ACCOUNTS {
        deposit(&seed, account, 100).await;
    }
    let ids: Vec<_> = (0..plan.transfers.len()).map(|number| format!("t{number}")).collect();
    for (id, (from, to, cents)) in ids.iter().zip(&plan.transfers) {
        request(&seed, id, ACCOUNTS[*from], ACCOUNTS[*to], *cents).await;
    }
    drop(seed);
    let mut options = SagaOptions::default().begin(Begin::History);
    options.dispatch_max = plan.dispatch_max;
    let views = || -> Arc<dyn KeyValueStore> {
        if plan.keeps_rows { Arc::<MemoryKeyValue>::clone(&world.views) } else { Arc::new(MemoryKeyValue::new()) }
    };
    let start = async |store: Store| {
        let app = App::open(store).with_env(world.env.clone());
        app.saga_with::<Transfer>(options.clone()).start().await.unwrap()
    };
    let all_done = async |app: &App| {
        for id in &ids {
            until::<Transfer>(app, id, InstanceState::Completed).await;
        }
    };
    for appends in &plan.kills {
        let cut = CutStore::new(world.memory.clone(), *appends);
        let app = start(cut.store(views())).await;
        select! {
            biased;
            () = cut.died() => {}
            () = all_done(&app) => {}
        }
    }
    let app = start(Store::new(world.memory.clone(), views())).await;
    all_done(&app).await;

    let mut expected = [100; ACCOUNTS.len()];
    for (id, (from, to, cents)) in ids.iter().zip(&plan.transfers) {
        if settled(&app, id).await.unwrap_or_else(|| panic!("{id} is not settled: {plan:?}")) {
            expected[*from] -= cents;
            expected[*to] += cents;
        }
    }
    for (account, expected) in ACCOUNTS.iter().zip(expected) {
        assert_eq!(cents(&app, account).await, expected, "{account}: {plan:?}");
    }
    let log = world.log().await;
    for (input, times) in inputs(&log) {
        assert_eq!(times, 1, "{input}: {plan:?}");
    }
    let effects: Vec<_> = log.iter().filter(|event| ["account", "transfer"].contains(&event.category())).collect();
    let ids: BTreeSet<_> = effects.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), effects.len(), "an event was recorded twice: {plan:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn money_is_conserved_wherever_processes_are_killed(plan in plan()) {
        runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(run(plan));
    }
}
