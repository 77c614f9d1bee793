//! The description, against the server that it describes.

use std::{path::Path, process::Command};

use crate::support::Process;

/// A stranger reads the description and asks for everything in it, in many ways, right and wrong: nothing that he gets may be
/// other than described, and nothing that is described as wrong may be accepted.
#[test]
fn the_description_is_true() {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/schemathesis");
    assert!(packages.is_dir(), "there is no schemathesis at {}: run `make tools`", packages.display());
    let folder = tempfile::tempdir().expect("a folder");
    let server = Process::start(&folder.path().join("data"));
    let mut command = Command::new("python3");
    command
        .args(["-m", "schemathesis.cli", "run"])
        .arg(format!("{}/openapi.json", server.address))
        .args(["--max-examples", "20", "--generation-deterministic", "--no-color"])
        .args(["--request-timeout", "10"])
        // A subscription lasts until one side hangs up, so each that is right costs a time-out.
        .args(["--exclude-path", "/v1/subscribe"])
        // No schema says "either `data` or `data_base64`, and not an append of nothing" in a way that people can read, so what
        // fits the schema may be refused.
        .args(["--exclude-checks", "positive_data_acceptance"])
        .env("PYTHONPATH", packages)
        .current_dir(folder.path());
    let checked = command.output().expect("python3 runs");
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{said}\n{}", String::from_utf8_lossy(&checked.stderr));
    assert!(said.contains("9 selected / 10 total"), "{said}");
}
