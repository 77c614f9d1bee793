//! The program, run several times on the same folder.

use std::{path::Path, process::Command};

/// Runs the bank; what it says on either channel, and whether it succeeded.
fn bank(data: &Path, arguments: &str) -> (String, bool) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bank"));
    let output = command.arg("--data").arg(data).args(arguments.split(' ')).output().expect("the bank runs");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (said.trim_end().to_owned(), output.status.success())
}

#[test]
fn state_survives_from_run_to_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = |arguments| bank(folder.path(), arguments);
    let ok = |text: &str| (text.to_owned(), true);
    let refused = |text: &str| (format!("Error: {text:?}"), false);
    assert_eq!(said("deposit alice 50"), refused("there is no such account"));
    assert_eq!(said("open alice"), ok("alice has 0"));
    assert_eq!(said("deposit alice 50"), ok("alice has 50"));
    assert_eq!(said("withdraw alice 60"), refused("there is only 50 in the account"));
    assert_eq!(said("withdraw alice 20"), ok("alice has 30"));
    assert_eq!(said("open bob"), ok("bob has 0"));
    assert_eq!(said("transfer rent alice bob 10"), ok("rent: bob has got 10 from alice"));
    assert_eq!(said("transfer rent alice bob 10"), ok("rent: bob has got 10 from alice"), "once for each id");
    let failed = "debt: failed, bob keeps its money: there is only 10 in the account";
    assert_eq!(said("transfer debt bob alice 11"), ok(failed));
    assert_eq!(said("balance alice"), ok("alice has 20"));
    assert_eq!(said("list"), ok("alice has 20\nbob has 10"));
    let statement = "+50, then alice had 50\n-20, then alice had 30\n-10 (rent), then alice had 20";
    assert_eq!(said("statement alice"), ok(statement));
    assert_eq!(said("rebuild"), ok("balances: 17 events replayed\nstatement: 17 events replayed"));
    assert_eq!(said("statement alice"), ok(statement));
}

#[test]
fn an_owner_has_a_limit_across_accounts() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = |arguments: &str| bank(folder.path(), arguments).0;
    for account in ["giro", "savings"] {
        said(&format!("open {account} --owner alice"));
        said(&format!("deposit {account} 10000"));
    }
    assert_eq!(said("withdraw giro 1000"), "giro has 9000");
    assert_eq!(said("withdraw savings 1000"), "savings has 9000");
    assert_eq!(said("withdraw giro 1000"), "giro has 8000");
    assert_eq!(said("withdraw savings 1000"), "Error: \"alice has made 3 large withdrawals today\"");
    assert_eq!(said("withdraw savings 999"), "savings has 8001");
}

#[test]
fn what_cannot_be_shown_of_one_account_keeps_no_other_waiting() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = |arguments: &str| bank(folder.path(), arguments);
    said("open whale");
    said("open alice");
    // An account can hold it; SQLite has no such number.
    assert_eq!(said(&format!("deposit whale {}", u64::MAX)), (format!("whale has {}", u64::MAX), true));
    assert_eq!(said("deposit alice 50").0, "alice has 50");
    assert_eq!(said("statement alice"), ("+50, then alice had 50".to_owned(), true));
    let (why, ok) = said("statement whale");
    assert!(!ok && why.contains("the statement of whale ends before event 3"), "{why}");
}
