//! The shape of the workspace, proved: who depends on whom, in which order the store's modules may use each other, how
//! long a file may be, and that nothing switches a test or a lint off in silence.
//!
//! Each rule is a function from text to the places that break it, and has a test that it finds one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// Which packages of the workspace each may use. A new package needs a row, and so a thought.
const MAY_USE: &[(&str, &[&str])] = &[
    ("annalist-core", &[]),
    ("annalist-macros", &[]),
    ("annalist-metrics", &[]),
    ("annalist-memory", &["annalist-core"]),
    ("annalist-telemetry", &["annalist-core"]),
    ("annalist-store", &["annalist-core", "annalist-metrics"]),
    (
        "annalist",
        &[
            "annalist-client",
            "annalist-core",
            "annalist-macros",
            "annalist-memory",
            "annalist-metrics",
            "annalist-store",
        ],
    ),
    ("annalist-nats", &["annalist-core", "annalist"]),
    ("annalist-sql", &["annalist-core", "annalist"]),
    ("annalist-service", &["annalist-core", "annalist-telemetry", "annalist"]),
    ("annalist-proto", &["annalist-core"]),
    ("annalist-client", &["annalist-core", "annalist-proto"]),
    (
        "annalist-server",
        &[
            "annalist-client",
            "annalist-core",
            "annalist-metrics",
            "annalist-proto",
            "annalist-store",
            "annalist-telemetry",
        ],
    ),
    ("annalist-cli", &["annalist-client", "annalist-core", "annalist-server", "annalist-store"]),
    ("bank", &["annalist", "annalist-sql"]),
    (
        "orders",
        &["annalist", "annalist-nats", "annalist-service", "annalist-sql", "annalist-store", "annalist-telemetry"],
    ),
];

/// What any package may use in its tests besides: the stores to test with, and the face that derived code is written for.
const MAY_TEST_WITH: &[&str] = &["annalist", "annalist-memory", "annalist-store"];

/// Packages that cross all others on purpose; nothing may depend on them.
const MAY_USE_ANYTHING: &[&str] = &["benches", "schedules", "tests"];

/// Drivers and formats, and the packages that may know them.
const DRIVERS: &[(&str, &[&str])] = &[
    ("rocksdb", &["annalist-store"]),
    ("async-nats", &["annalist-nats"]),
    ("sqlx", &["annalist-sql"]),
    ("prometheus-client", &["annalist-metrics", "annalist-service"]),
    ("reqwest", &["annalist-service", "annalist-telemetry"]),
    ("tonic", &["annalist-client", "annalist-proto", "annalist-server"]),
    // A receiver of traces for tests.
    ("prost", &["annalist-proto", "annalist-telemetry"]),
    // The edge of a service tests what becomes of its spans.
    ("opentelemetry", &["annalist-service", "annalist-telemetry"]),
    ("opentelemetry_sdk", &["annalist-service", "annalist-telemetry"]),
    ("opentelemetry-otlp", &["annalist-telemetry"]),
    ("tracing-opentelemetry", &["annalist-telemetry"]),
];

/// What the vocabulary must do without: runtimes, engines, brokers, servers.
const NOT_IN_CORE: &[&str] = &["tokio", "rocksdb", "librocksdb-sys", "async-nats", "sqlx", "axum", "tonic", "mio"];

/// Packages whose `lib.rs` declares modules in the order in which data flows: each uses only those before it.
const ORDERED_MODULES: &[&str] = &["metrics", "store", "sql", "telemetry", "service", "client", "server"];

/// Most lines of a file, tests apart.
const FILE_LINES_MAX: usize = 600;

#[test]
fn packages_depend_only_on_those_they_may() {
    let edges = dependencies();
    let mut wrong = Vec::new();
    for (package, used, kind) in edges.iter().filter(|(_, used, _)| is_ours(&edges, used)) {
        let may_use = MAY_USE.iter().find(|(name, _)| name == package).map(|(_, may_use)| *may_use);
        let allowed = match may_use {
            _ if MAY_USE_ANYTHING.contains(&package.as_str()) => !MAY_USE_ANYTHING.contains(&used.as_str()),
            None => false,
            Some(may_use) => {
                may_use.contains(&used.as_str()) || (kind == "dev" && MAY_TEST_WITH.contains(&used.as_str()))
            }
        };
        if !allowed {
            wrong.push(format!("{package} may not use {used} ({kind} dependency)"));
        }
    }
    let known = |name: &str| MAY_USE_ANYTHING.contains(&name) || MAY_USE.iter().any(|(row, _)| *row == name);
    let packages: BTreeSet<&str> = edges.iter().map(|(package, _, _)| package.as_str()).collect();
    wrong.extend(packages.iter().filter(|name| !known(name)).map(|name| format!("{name} has no row in MAY_USE")));
    assert_none(&wrong);
}

#[test]
fn each_driver_is_known_to_one_package() {
    let edges = dependencies();
    for (driver, owners) in DRIVERS {
        let users: BTreeSet<&str> =
            edges.iter().filter(|(_, used, _)| used == driver).map(|(package, _, _)| package.as_str()).collect();
        assert_eq!(users, owners.iter().copied().collect(), "only {owners:?} may use {driver}");
    }
}

#[test]
fn the_vocabulary_has_no_runtime_and_no_engine() {
    let packages = packages_below(&["--package", "annalist-core"]);
    assert!(packages.contains("uuid"), "cargo tree did not list what annalist-core depends on: {packages:?}");
    assert_none(&NOT_IN_CORE.iter().filter(|name| packages.contains(**name)).collect::<Vec<_>>());
}

#[test]
fn a_domain_can_be_compiled_without_the_engine() {
    let engine = |arguments: &[&str]| packages_below(arguments).contains("librocksdb-sys");
    assert!(engine(&["--package", "annalist"]), "the framework has an embedded store by default");
    assert!(!engine(&["--package", "annalist", "--no-default-features"]), "without it there must be no RocksDB");
}

#[test]
fn modules_use_only_those_before_them() {
    let mut wrong = Vec::new();
    for package in ORDERED_MODULES {
        let src = root().join(package).join("src");
        let order = module_order(&read(&src.join("lib.rs")));
        assert!(order.len() > 1, "{package}/src/lib.rs declares no modules");
        for file in rust_files(&src).into_iter().filter(|file| !is_test(file)) {
            let relative = file.strip_prefix(&src).expect("the file was found below src").with_extension("");
            let mut names = relative.iter().filter_map(|part| part.to_str());
            let Some(module) = names.next().filter(|module| *module != "lib") else { continue };
            let is_top = matches!(names.next(), None | Some("mod"));
            let found = out_of_order(&order, module, is_top, &read(&file));
            wrong.extend(found.into_iter().map(|what| format!("{package}/src/{}: {what}", relative.display())));
        }
    }
    assert_none(&wrong);
}

#[test]
fn files_are_short_and_switch_nothing_off_in_silence() {
    let mut wrong = Vec::new();
    let files = rust_files(&root());
    assert!(files.iter().any(|file| file.ends_with("core/src/lib.rs")), "the walk did not find the sources");
    for file in files {
        let text = read(&file);
        let at = |line: usize| format!("{}:{line}", file.strip_prefix(root()).unwrap_or(&file).display());
        if !is_test(&file) && text.lines().count() > FILE_LINES_MAX {
            wrong.push(format!("{}: more than {FILE_LINES_MAX} lines; split it", at(1)));
        }
        wrong.extend(switched_off(&text).into_iter().map(|(line, what)| format!("{}: {what}", at(line))));
    }
    assert_none(&wrong);
}

#[test]
fn decision_records_have_numbers_of_their_own_and_are_there_when_cited() {
    let mut by_number = BTreeMap::<String, Vec<String>>::new();
    for entry in fs::read_dir(root().join("docs/adr")).expect("docs/adr can be read").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        by_number.entry(name.chars().take(4).collect()).or_default().push(name);
    }
    let not_a_number = |number: &str| number.len() != 4 || !number.bytes().all(|byte| byte.is_ascii_digit());
    let mut wrong: Vec<String> = by_number
        .iter()
        .filter(|(number, names)| names.len() > 1 || not_a_number(number))
        .map(|(_, names)| format!("docs/adr: {} need a number of their own", names.join(", ")))
        .collect();
    for file in files(&root(), &["rs", "toml", "md"]) {
        let missing = cited_records(&read(&file)).into_iter().filter(|number| !by_number.contains_key(number));
        wrong.extend(missing.map(|number| format!("{} cites docs/adr/{number}, which is missing", file.display())));
    }
    assert_none(&wrong);
}

#[test]
fn spans_are_documented() {
    let documented = read(&root().join("docs/spans.md"));
    let mut names = BTreeSet::new();
    for file in rust_files(&root()).into_iter().filter(|file| !is_test(file)) {
        names.extend(span_names(&read(&file)));
    }
    assert!(names.contains("annalist.command"), "the walk did not find the spans: {names:?}");
    let is_missing = |name: &&String| !documented.contains(&format!("\n| `{name}` |"));
    assert_none(
        &names.iter().filter(is_missing).map(|name| format!("{name} is not in docs/spans.md")).collect::<Vec<_>>(),
    );
}

#[test]
fn the_rules_find_what_breaks_them() {
    let order = module_order("mod limits;\nmod format;\npub mod tail;\n#[cfg(test)]\nmod tests;\npub use tail::Tail;");
    assert_eq!(order, ["limits", "format", "tail"]);
    let format = |text| out_of_order(&order, "format", true, text);
    assert_eq!(format("use crate::limits::A; use crate::{limits::{A, B}, format::C};"), [] as [String; 0]);
    assert_eq!(format("// crate::tail is explained elsewhere\nlet x = $crate::tail;"), [] as [String; 0]);
    assert_eq!(format("use crate::{\n    limits,\n    tail::{View, limits},\n};"), ["`format` uses the later `tail`"]);
    assert_eq!(format("fn f(_: crate::tail::Tail) {}"), ["`format` uses the later `tail`"]);
    assert_eq!(format("use crate::Tail;"), ["`format` uses `crate::Tail`; name the module it is in"]);
    assert_eq!(format("use super::tail;"), ["`format` uses the later `tail`"]);
    assert_eq!(out_of_order(&order, "format", false, "use super::row;"), [] as [String; 0]);

    assert_eq!(switched_off("#[test]\n    #[ignore = \"slow\"]\nfn f() {}"), [(2, "a test is switched off")]);
    assert_eq!(switched_off("#![allow(\n    dead_code\n)]"), [(1, "`allow` without a reason; use `expect` with one")]);
    assert_eq!(switched_off("#[allow(dead_code, reason = \"x\")]\nlet ignore = 1;"), []);
    let spans = "info_span!(\"annalist.a\", x = \"y\");\ndebug_span!(\n    parent: None,\n    \"annalist.b\",\n)";
    assert_eq!(span_names(spans), ["annalist.a", "annalist.b"]);
    let cites = ["see docs/adr", "/0003-crc.md and docs/adr", "/README.md"].concat();
    assert_eq!(cited_records(&cites), ["0003"]);
}

/// The modules that a `lib.rs` declares, in order, tests apart.
fn module_order(lib: &str) -> Vec<String> {
    let declared = |line: &str| {
        let line = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
        line.strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned)
    };
    lib.lines().filter_map(declared).filter(|module| module != "tests").collect()
}

/// What a file of `module` uses of the crate that does not stand before it. `is_top` says that it is the module's own
/// file, whose parent is the crate itself.
fn out_of_order(order: &[String], module: &str, is_top: bool, text: &str) -> Vec<String> {
    let mut text: String = text.lines().map(|line| line.split("//").next().unwrap_or(line).to_owned() + "\n").collect();
    if is_top {
        text = format!("\n{text}").replace("\nuse super::", "\nuse crate::");
    }
    let place = |name: &str| order.iter().position(|other| other == name);
    let mut wrong = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        if text[..at].ends_with(|before: char| before.is_alphanumeric() || "_$".contains(before)) {
            continue;
        }
        for name in first_names(&text[at + "crate::".len()..]) {
            match place(name) {
                None => _ = wrong.insert(format!("`{module}` uses `crate::{name}`; name the module it is in")),
                Some(used) if place(module).is_none_or(|own| used > own) => {
                    wrong.insert(format!("`{module}` uses the later `{name}`"));
                }
                Some(_) => {}
            }
        }
    }
    wrong.into_iter().collect()
}

/// The first name of each path in what follows `crate::`: of `a::b` it is `a`, of `{a, b::{c, d}}` they are `a`, `b`.
fn first_names(path: &str) -> Vec<&str> {
    let Some(group) = path.strip_prefix('{') else { return leading_name(path).into_iter().collect() };
    let (mut depth, mut begin, mut names) = (0, 0, Vec::new());
    for (at, char) in group.char_indices() {
        match char {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.extend(leading_name(&group[begin..at]));
                begin = at + 1;
                if char == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names
}

fn leading_name(path: &str) -> Option<&str> {
    let path = path.trim_start();
    let end = path.find(|char: char| !char.is_alphanumeric() && char != '_').unwrap_or(path.len());
    (end > 0).then(|| &path[..end])
}

/// Lines on which a test is ignored or a lint is allowed without a reason.
fn switched_off(text: &str) -> Vec<(usize, &'static str)> {
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        if line.starts_with("#[ignore") {
            found.push((index + 1, "a test is switched off"));
        }
        if line.starts_with("#[allow(") || line.starts_with("#![allow(") {
            let rest = lines.iter().skip(index).copied().collect::<String>();
            if !rest.split(")]").next().is_some_and(|attribute| attribute.contains("reason = ")) {
                found.push((index + 1, "`allow` without a reason; use `expect` with one"));
            }
        }
    }
    found
}

/// The names of the spans that a text makes: the first text behind each `span!(`.
fn span_names(text: &str) -> Vec<String> {
    let calls = text.split("_span!(").skip(1);
    let names = calls.filter_map(|call| call.split('"').nth(1)).filter(|name| name.starts_with("annalist."));
    names.map(str::to_owned).collect()
}

/// The numbers in every `docs/adr/NNNN` of a text.
fn cited_records(text: &str) -> Vec<String> {
    let numbers = text.split("docs/adr/").skip(1).map(|rest| rest.chars().take(4).collect::<String>());
    numbers.filter(|number| number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit())).collect()
}

/// Every direct dependency in the workspace: (package, what it uses, `normal`, `build` or `dev`).
fn dependencies() -> Vec<(String, String, String)> {
    let metadata: Value = serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1"]))
        .expect("cargo metadata prints JSON");
    let list = |value: &Value, field: &str| value[field].as_array().cloned().unwrap_or_default();
    let text = |value: &Value, field: &str| value[field].as_str().map(str::to_owned);
    let mut edges = Vec::new();
    for package in list(&metadata, "packages") {
        let name = text(&package, "name").expect("a package has a name");
        for used in list(&package, "dependencies") {
            let kind = text(&used, "kind").unwrap_or_else(|| "normal".to_owned());
            edges.push((name.clone(), text(&used, "name").expect("a dependency has a name"), kind));
        }
    }
    edges
}

/// The packages that something is compiled with, its tests and build scripts apart.
fn packages_below(arguments: &[&str]) -> BTreeSet<String> {
    let tree = cargo(&[&["tree", "--edges", "normal", "--prefix", "none"], arguments].concat());
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

fn is_ours(edges: &[(String, String, String)], name: &str) -> bool {
    MAY_USE.iter().any(|(row, _)| *row == name) || edges.iter().any(|(package, _, _)| package == name)
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("cargo runs");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace").to_owned()
}

fn is_test(file: &Path) -> bool {
    let inside = file.strip_prefix(root()).unwrap_or(file);
    inside.starts_with("tests") || inside.iter().any(|part| part == "tests" || part == "tests.rs")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    files(folder, &["rs"])
}

/// All files below a folder with one of these extensions, those of the build and of the tools apart.
fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder can be read").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let hidden = name.to_string_lossy().starts_with('.') && name != ".cargo";
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !hidden && name != "target" {
            found.extend(files(&path, extensions));
        } else if path.extension().is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted)) {
            found.push(path);
        }
    }
    found
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn assert_none<T: std::fmt::Display>(wrong: &[T]) {
    let lines: Vec<String> = wrong.iter().map(T::to_string).collect();
    assert!(lines.is_empty(), "\n  {}\n", lines.join("\n  "));
}
