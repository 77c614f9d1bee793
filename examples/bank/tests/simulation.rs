//! The whole bank, from seeds: customers at the same time, a store that fails now and then, a process that dies at any of its durable
//! steps. Money is conserved, the limit is kept, the views say what the log says.

use annalist::{
    App, AppBuilder, Store,
    testing::simulation::{Client, simulate},
};
use bank::{
    domain::{
        Account, Deposit, LARGE, LARGE_PER_DAY, LargeWithdrawals, LimitRefused, Open, Patience, RequestTransfer,
        Transfer, Transfers, WithdrawLarge,
    },
    views::{BALANCES, Balances},
};

const CUSTOMERS: usize = 3;
const EACH: u64 = 10 * LARGE;

/// The bank without its statements, which are kept in a database of their own.
fn wiring(store: Store) -> AppBuilder {
    App::open(store).saga::<Transfers>().projection(Balances)
}

fn account(number: u64) -> String {
    format!("account-{number}")
}

/// Opens an account, all of them for the same owner; moves money about; takes out large amounts, as far as may be.
async fn customer(client: Client) {
    let (number, app) = (client.number(), client.app());
    let own = account(number as u64);
    let open = async || {
        let open = Open { owner: "alice".to_owned() };
        app.on::<Account>(own.clone()).execute(open).key(format!("{own}-open")).await
    };
    client.insist(open).await.expect("it is new");
    let deposit = async || {
        let deposit = Deposit { amount: EACH, transfer: None };
        app.on::<Account>(own.clone()).execute(deposit).key(format!("{own}-deposit")).await
    };
    client.insist(deposit).await.expect("it is open");
    for nth in 0..3 {
        let id = format!("{own}-transfer-{nth}");
        let (from, to) = (account(client.below(CUSTOMERS as u64)), account(client.below(CUSTOMERS as u64)));
        let amount = 1 + client.below(EACH);
        let transfer = async || {
            let request = RequestTransfer { from: from.clone(), to: to.clone(), amount };
            app.on::<Transfer>(id.clone()).execute(request).key(&id).await
        };
        assert_eq!(client.insist(transfer).await.is_err(), from == to);
        let withdraw = async || {
            let withdraw = WithdrawLarge { account: own.clone(), owner: "alice".to_owned(), amount: LARGE };
            app.scope::<LargeWithdrawals>().execute(withdraw).key(format!("{own}-large-{nth}")).await
        };
        match client.insist(withdraw).await {
            Ok(_) | Err(LimitRefused::LimitReached { .. } | LimitRefused::Account(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

async fn check(app: &App) {
    let view = app.view::<Balances>().expect("it is there").after(app.head().await.expect("it can be told"));
    let mut in_all = 0;
    for number in 0..CUSTOMERS as u64 {
        let there = app.load::<Account>(&account(number)).await.expect("it can be read").state.balance;
        let seen = view.get(&BALANCES, &account(number)).await.expect("it can be read");
        assert_eq!(seen.map(|holding| holding.balance), Some(there), "account {number}");
        in_all += there;
    }
    let taken = CUSTOMERS as u64 * EACH - in_all;
    // All of it happens on one day.
    assert!(taken.is_multiple_of(LARGE) && taken <= LARGE_PER_DAY as u64 * LARGE, "{taken} is missing");
}

#[test]
fn money_is_conserved_and_the_limit_kept_by_every_seed() {
    let seeds = std::env::var("ANNALIST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(60).min(1000);
    let mut deaths = 0;
    for seed in 0..seeds {
        let simulation = simulate(seed, wiring).rest(2 * Patience::BETWEEN);
        deaths += simulation.clients(CUSTOMERS, customer).run(check).deaths;
    }
    assert!(deaths > seeds, "it would say little if it never died");
}
