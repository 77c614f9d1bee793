//! A case that is written but not listed would never run.

use std::{fs, path::Path};

#[test]
fn every_case_is_listed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/conformance");
    let list = fs::read_to_string(folder.join("cases.rs")).expect("the list can be read");
    let mut cases = 0;
    for entry in fs::read_dir(&folder).expect("the cases can be found").flatten() {
        let topic = entry.path();
        let text = fs::read_to_string(&topic).expect("the cases can be read");
        for line in text.lines() {
            let Some(case) = line.strip_prefix("pub async fn ").and_then(|line| line.split('(').next()) else {
                continue;
            };
            if case == "within_time" {
                continue;
            }
            let listed = list.lines().any(|line| line.trim().trim_end_matches(';') == case);
            assert!(listed, "{case} of {} is not in the list of conformance/cases.rs", topic.display());
            cases += 1;
        }
    }
    assert!(cases > 140, "the cases were found: {cases}");
}
