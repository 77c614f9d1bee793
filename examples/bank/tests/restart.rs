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
    assert_eq!(said("balance alice"), ok("alice has 30"));
    assert_eq!(said("list"), ok("alice has 30\nbob has 0"));
}
