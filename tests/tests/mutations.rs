//! The seeded bugs of `make mutations` must not rot: each still finds its place in the sources, once, and is in the table of
//! `docs/reliability.md`. That they are caught is the long form's business.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in the workspace").to_owned()
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// What a patch wants to find: for each of its hunks the file, and the lines that stand there.
fn places(patch: &str) -> Vec<(&str, String)> {
    let (mut file, mut places) = ("", Vec::new());
    for line in patch.lines().skip_while(|line| !line.starts_with("--- ")) {
        if let Some(name) = line.strip_prefix("+++ b/") {
            file = name;
        } else if line.starts_with("@@ ") {
            places.push((file, String::new()));
        } else if !line.starts_with("--- ")
            && !line.starts_with('+')
            && let Some((_, lines)) = places.last_mut()
        {
            lines.push_str(line.get(1..).unwrap_or_default());
            lines.push('\n');
        }
    }
    places
}

fn field<'a>(patch: &'a str, name: &str) -> Option<&'a str> {
    patch.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn seeded_bugs_apply_and_are_documented() {
    let documented = read(&root().join("docs/reliability.md"));
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(root().join("tests/mutations")).expect("there are seeded bugs") {
        let path = entry.expect("a folder can be listed").path();
        let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        let patch = read(&path);
        count += 1;
        if field(&patch, "Bug").is_none() || field(&patch, "Suite").is_none() {
            wrong.push(format!("{name}: it says neither what it is nor what catches it"));
        }
        if !documented.contains(&format!("| `{name}`: ")) {
            wrong.push(format!("{name}: it is not in the table of docs/reliability.md"));
        }
        let places = places(&patch);
        if places.is_empty() {
            wrong.push(format!("{name}: it changes nothing"));
        }
        for (file, lines) in places {
            let found = read(&root().join(file)).matches(&lines).count();
            if found != 1 {
                wrong.push(format!("{name}: its place is found {found} times in {file}: write it anew"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 6, "there are {count} seeded bugs");
}
