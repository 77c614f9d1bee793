//! What is not settled about a dependency does not compile, and the compiler says what is missing.
//!
//! The programs are checked against what this test itself was linked with: trybuild would compile the store, the web server
//! and TLS for it a second time.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{env, fs, path::PathBuf, process::Command};

const SETTLED: [(&str, &str); 5] = [
    ("NoTimeout", ".timeout(Duration::from_millis(80))"),
    ("NoRetryBudget", ".retry_budget(RetryBudget::default())"),
    ("NoBreaker", ".breaker(BreakerPolicy::default())"),
    ("NoBulkhead", ".bulkhead(Bulkhead::new(8))"),
    ("NoFallback", ".no_fallback(\"money is not guessed\")"),
];

/// A program that settles all but one.
fn program(missing: Option<&str>) -> String {
    let settled = SETTLED.iter().filter(|(name, _)| Some(*name) != missing).map(|(_, call)| *call);
    format!(
        "use std::time::Duration;
         use annalist_service::{{BreakerPolicy, outbound::{{BuildError, Bulkhead, Clients, OutboundClient, RetryBudget}}}};
         pub fn client() -> Result<OutboundClient, BuildError> {{
             Clients::default().client(\"provider\", \"http://localhost:1\")?{}.build()
         }}",
        settled.collect::<String>()
    )
}

/// Checks a program; `Err` is what the compiler says.
fn check(name: &str, program: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join(format!("{name}.rs"));
    fs::write(&source, program).unwrap();
    let test = env::current_exe().unwrap();
    let dependencies = test.parent().unwrap();
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut check = Command::new(compiler);
    check.args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--out-dir"]).arg(folder.path());
    check.arg("-L").arg(format!("dependency={}", dependencies.display()));
    check.arg("--extern").arg(format!("annalist_service={}", library(dependencies.to_owned()).display()));
    let checked = check.arg(source).output().unwrap();
    if checked.status.success() { Ok(()) } else { Err(String::from_utf8(checked.stderr).unwrap()) }
}

/// The library as it was last built.
fn library(dependencies: PathBuf) -> PathBuf {
    let found = fs::read_dir(dependencies).unwrap().flatten().map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("libannalist_service-") && name.ends_with(".rlib")
    });
    found.max_by_key(|path| path.metadata().unwrap().modified().unwrap()).unwrap()
}

#[test]
fn a_client_is_not_built_before_everything_is_settled() {
    check("complete", &program(None)).unwrap();
    for (missing, _) in SETTLED {
        let said = check("incomplete", &program(Some(missing))).unwrap_err();
        assert!(said.contains(&format!("the outbound client is not complete: `{missing}`")), "{said}");
        assert!(said.contains(".no_fallback(\\\"reason\\\")") || said.contains(".no_fallback(\"reason\")"), "{said}");
        assert_eq!(said.matches("error[").count(), 1, "{said}");
    }
}
