//! Money is conserved, whatever happens at the same time and whenever the bank dies.

use std::{collections::HashMap, path::Path, time::Duration};

use annalist::{Store, TestEnv};
use bank::{Bank, Failure, Outcome};
use proptest::prelude::*;

const ACCOUNTS: [&str; 4] = ["alice", "bob", "carol", "dave"];
const EACH: u64 = 100;

/// A transfer that somebody asks for: from, to, how much.
type Asked = (&'static str, &'static str, u64);

fn transfers() -> impl Strategy<Value = Vec<Asked>> {
    let account = || prop::sample::select(&ACCOUNTS[..]);
    prop::collection::vec((account(), account(), 1..2 * EACH), 1..12)
}

/// Asks for all transfers at the same time.
async fn ask(bank: &Bank, asked: &[Asked]) -> Vec<Result<Outcome, Failure>> {
    let each = asked
        .iter()
        .enumerate()
        .map(async |(id, &(from, to, amount))| bank.transfer(&format!("t{id}"), from, to, amount).await);
    futures_util::future::join_all(each).await
}

async fn begin(folder: &Path, asked: &[Asked], dies_after: Duration) {
    let bank = Bank::open(folder).await.expect("the bank opens");
    for account in ACCOUNTS {
        bank.open_account(account, account).await.expect("it is new");
        bank.deposit(account, EACH).await.expect("it is open");
    }
    _ = tokio::time::timeout(dies_after, ask(&bank, asked)).await;
}

async fn end(folder: &Path, asked: &[Asked]) {
    let bank = Bank::open(folder).await.expect("the bank opens again");
    for (outcome, (from, to, _)) in ask(&bank, asked).await.into_iter().zip(asked) {
        match outcome {
            Ok(outcome) => assert_ne!(outcome, Outcome::UnderWay, "every transfer ends"),
            Err(refused) => assert!(from == to, "{refused}"),
        }
    }
    let balances: HashMap<String, u64> = {
        let balances = bank.balances().await.expect("the view can be read");
        balances.into_iter().map(|(account, holding)| (account, holding.balance)).collect()
    };
    assert_eq!(balances.values().sum::<u64>(), EACH * ACCOUNTS.len() as u64);
    for account in ACCOUNTS {
        let statement = bank.statement(account).await.expect("the view can be read");
        let last = statement.last().map(|entry| entry.balance);
        assert_eq!(last, balances.get(account).map(|balance| i64::try_from(*balance).expect("it is small")));
    }
    bank.close().await.expect("it closes");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]

    #[test]
    fn money_is_conserved(asked in transfers(), dies_after_ms in 0..120_u64) {
        let folder = tempfile::tempdir().expect("a folder");
        let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let first = runtime().expect("a runtime");
        first.block_on(begin(folder.path(), &asked, Duration::from_millis(dies_after_ms)));
        // Every task is dropped where it stands.
        first.shutdown_timeout(Duration::from_secs(30));
        runtime().expect("a runtime").block_on(end(folder.path(), &asked));
    }
}

#[tokio::test]
async fn the_drawing_is_the_wiring() {
    let folder = tempfile::tempdir().expect("a folder");
    let statement = annalist_sql::Sqlite::open::<bank::views::Statement>(folder.path(), bank::views::Statement::TABLES);
    let wiring = Bank::wiring(Store::memory(), statement.await.expect("SQLite opens")).with_env(TestEnv::default());
    wiring.describe().check(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/wiring.md"));
}
