//! The bank runs on a server as it runs on a folder, also when that server is killed under it.

use std::collections::HashMap;

use annalist::Store;
use bank::{Bank, Outcome};
use tests::subjects::{ServerProcess, in_ram};

const ACCOUNTS: [&str; 3] = ["alice", "bob", "carol"];
const EACH: u64 = 100;
const TRANSFERS: usize = 24;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_is_conserved_while_the_server_is_killed() {
    let dir = in_ram();
    let start =
        |listen: &str| ServerProcess::start(env!("CARGO_BIN_EXE_store_server"), &dir.path().join("store"), listen);
    let mut server = start("127.0.0.1:0");
    let open = async |server: &ServerProcess| {
        let store = Store::remote(server.address()).expect("the address of a server");
        Bank::on(store, &dir.path().join("bank")).await.expect("the bank opens")
    };
    let bank = open(&server).await;
    for account in ACCOUNTS {
        bank.open_account(account, account).await.expect("it is new");
        bank.deposit(account, EACH).await.expect("it is open");
    }
    let mut outcomes = Vec::new();
    for number in 0..TRANSFERS {
        let [from, to] = [number, number + 1].map(|account| ACCOUNTS[account % ACCOUNTS.len()]);
        if number % 8 == 4 {
            server.kill();
            let listen = server.listen().to_owned();
            server = start(&listen);
        }
        outcomes
            .push(bank.transfer(&format!("t{number}"), from, to, 1 + number as u64).await.expect("it is asked for"));
    }
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Completed), "{outcomes:?}");
    let held = async |bank: &Bank| -> HashMap<String, u64> {
        let balances = bank.balances().await.expect("the view can be read");
        balances.into_iter().map(|(account, holding)| (account, holding.balance)).collect()
    };
    let before = held(&bank).await;
    assert_eq!(before.values().sum::<u64>(), EACH * ACCOUNTS.len() as u64);
    let statement = bank.statement("alice").await.expect("the view can be read");
    assert_eq!(
        statement.last().map(|entry| entry.balance),
        before.get("alice").map(|held| i64::try_from(*held).unwrap())
    );
    bank.close().await.expect("it closes");

    // Another process on the same store: views in memory come back by replay.
    let bank = open(&server).await;
    assert_eq!(held(&bank).await, before);
    bank.close().await.expect("it closes");
}
