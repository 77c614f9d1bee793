//! The folder `deploy`, and what it is checked with.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::Once,
};

static FETCHED: Once = Once::new();

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A folder in `deploy`.
pub fn deploy(name: &str) -> PathBuf {
    root().join("deploy").join(name)
}

/// Prometheus' tool for rules.
pub fn promtool() -> PathBuf {
    tool("PROMTOOL", ".tools/promtool", "promtool")
}

/// The linter of Dockerfiles.
pub fn hadolint() -> PathBuf {
    tool("HADOLINT", ".tools/deploy-python/bin/hadolint", "hadolint")
}

/// Python with the schemas of Kubernetes.
pub fn python(script: &str) -> Command {
    fetch();
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", root().join(".tools/deploy-python")).arg(root().join(script)).current_dir(root());
    python
}

/// A tool that is named by a variable, fetched before, or on the path.
fn tool(variable: &str, fetched: &str, name: &str) -> PathBuf {
    if let Some(path) = env::var_os(variable) {
        return path.into();
    }
    fetch();
    let fetched = root().join(fetched);
    if fetched.exists() { fetched } else { name.into() }
}

/// Fetches what is missing, as `make tools` does.
fn fetch() {
    FETCHED.call_once(|| {
        let fetched = Command::new(root().join("tools/deploy-checks.sh")).status();
        assert!(fetched.is_ok_and(|status| status.success()), "run `make tools`: it says what is missing");
    });
}
