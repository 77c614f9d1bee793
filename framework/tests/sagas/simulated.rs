//! A whole app from seeds: commands, a saga, a view and an outbox, with failures, under interleavings that differ with each seed,
//! dying at any durable step.

use std::{cell::RefCell, collections::BTreeMap};

use annalist::{
    App, AppBuilder, Recorded, RecordedEvent, Store,
    outbox::{IntegrationEvent, MapError, MemoryPublisher, Outbox},
    projection::{ApplyError, Embedded, Projection, Table, Tx},
    saga::{Begin, SagaOptions},
    testing::simulation::{Client, Moment, Simulated, Simulation, simulate},
};

use crate::{
    bank::{Account, AccountEvent, Deposit, Order, Request},
    support::{cents, settled},
    transfer::Transfer,
};

const ACCOUNTS: [&str; 4] = ["alice", "bob", "closed", "slow"];
const EACH: u64 = 100;
const TRANSFERS: usize = 3;

struct Balances;

const BALANCES: Table<String, u64> = Table::new("balances");

impl Projection for Balances {
    const NAME: &'static str = "balances";
    const VERSION: u32 = 1;
    type Event = AccountEvent;
    type Model = Embedded;

    async fn apply(&self, event: &Recorded<AccountEvent>, tx: &mut Tx) -> Result<(), ApplyError> {
        let account = event.record.stream_id().identifier().to_owned();
        tx.update(&BALANCES, &account, |balance| match &event.event {
            AccountEvent::Deposited { cents, .. } => *balance += cents,
            AccountEvent::Withdrawn { cents, .. } => *balance -= cents,
        })?;
        Ok(())
    }
}

fn public(event: &RecordedEvent) -> Result<Vec<IntegrationEvent>, MapError> {
    match event.category() {
        "account" => Ok(vec![IntegrationEvent::json("bank.account-changed.v1", event.stream(), "{}")?]),
        _ => Ok(Vec::new()),
    }
}

fn wiring(store: Store, broker: &MemoryPublisher) -> AppBuilder {
    App::open(store)
        .saga_with::<Transfer>(SagaOptions::default().begin(Begin::History))
        .projection(Balances)
        .outbox(Outbox::new(broker.clone()).map(public))
}

/// Opens its account, then asks for transfers between any.
async fn customer(client: Client) {
    let own = ACCOUNTS[client.number()];
    let deposit = async || {
        let deposit = Deposit { cents: EACH, transfer: None, closed: false };
        client.app().on::<Account>(own.to_owned()).execute(deposit).key(format!("open-{own}")).await
    };
    client.insist(deposit).await.unwrap();
    for transfer in 0..TRANSFERS {
        let id = format!("{own}-{transfer}");
        let account = || ACCOUNTS[usize::try_from(client.below(4)).unwrap()].to_owned();
        let (from, to) = (account(), account());
        let cents = 1 + client.below(2 * EACH);
        let request = async || {
            let request = Request { id: id.clone(), from: from.clone(), to: to.clone(), cents };
            client.app().on::<Order>(id.clone()).execute(request).key(&id).await
        };
        client.insist(request).await.unwrap();
    }
}

/// What must hold at the end.
async fn conserved(app: &App) {
    let mut in_all = 0;
    let view = app.view::<Balances>().unwrap().after(app.head().await.unwrap());
    for account in ACCOUNTS {
        let there = cents(app, account).await;
        assert_eq!(view.get(&BALANCES, &account.to_owned()).await.unwrap(), Some(there), "the view of {account}");
        in_all += there;
        for transfer in 0..TRANSFERS {
            let id = format!("{account}-{transfer}");
            assert!(settled(app, &id).await.is_some(), "{id} ends");
        }
    }
    assert_eq!(in_all, EACH * ACCOUNTS.len() as u64, "money is conserved");
}

/// Each event of an account is published once, in the order of the log.
fn published(broker: &MemoryPublisher, log: &[RecordedEvent]) {
    let recorded: Vec<_> = log.iter().filter(|event| event.category() == "account").map(|event| event.id).collect();
    let published: Vec<_> = broker.messages().iter().map(|message| message.event_id).collect();
    assert_eq!(published, recorded);
}

fn bank(seed: u64, with: impl FnOnce(Simulation<'_>) -> Simulation<'_>) -> Simulated {
    let broker = MemoryPublisher::new();
    let simulation = simulate(seed, |store| wiring(store, &broker)).clients(ACCOUNTS.len(), customer);
    let simulated = with(simulation).run(conserved);
    published(&broker, &simulated.log);
    simulated
}

/// As many seeds as `make test-all` asks for, or a few.
fn seeds() -> std::ops::Range<u64> {
    0..std::env::var("ANNALIST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(60).min(1000)
}

#[test]
fn money_is_conserved_by_every_seed() {
    let simulated: Vec<_> = seeds().map(|seed| bank(seed, |simulation| simulation)).collect();
    // It would say little if nothing ever went wrong.
    assert!(simulated.iter().any(|one| one.deaths > 1) && simulated.iter().all(|one| one.faults > 0));
}

#[test]
fn money_is_conserved_wherever_it_dies() {
    let undisturbed = bank(1, |simulation| simulation.faults_per_mille(0).deaths_max(0));
    let stride = if std::env::var_os("ANNALIST_CASES").is_some() { 1 } else { 7 };
    for step in (1..=undisturbed.steps).step_by(stride) {
        for moment in [Moment::Before, Moment::After] {
            let simulated = bank(1, |simulation| simulation.faults_per_mille(0).dies_at(step, moment));
            assert_eq!(simulated.deaths, 1, "at step {step}");
        }
    }
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    for seed in 0..5 {
        let (one, other) = (bank(seed, |simulation| simulation), bank(seed, |simulation| simulation));
        let lines = |simulated: &Simulated| -> Vec<_> {
            let line = |event: &RecordedEvent| (event.id, event.stream().to_owned(), event.time);
            simulated.log.iter().map(line).collect()
        };
        assert_eq!(lines(&one), lines(&other), "seed {seed}");
        assert_eq!((one.deaths, one.steps, one.faults), (other.deaths, other.steps, other.faults), "seed {seed}");
    }
}

#[test]
fn what_is_not_repeatable_is_found() {
    // Deposits without keys are made again after a death, or after an answer that was lost.
    let careless = async |client: Client| {
        for _ in 0..5 {
            let deposit = Deposit { cents: 1, transfer: None, closed: false };
            while let Err(error) = client.app().on::<Account>("shared".to_owned()).execute(deposit.clone()).await {
                assert!(!matches!(error, annalist::ExecuteError::Rejected(_)));
            }
        }
    };
    let totals = RefCell::new(BTreeMap::<u64, u32>::new());
    for seed in 0..30 {
        simulate(seed, App::open).clients(2, careless).run(async |app| {
            let total = cents(app, "shared").await;
            *totals.borrow_mut().entry(total).or_default() += 1;
        });
    }
    assert!(totals.borrow().keys().any(|total| *total > 10), "{totals:?}");
}
