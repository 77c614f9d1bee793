//! Keys as they are made, kept and looked up.

use super::*;

#[test]
fn a_key_is_known_by_its_line() {
    let (reader, first) = new_key(Role::Read, "grafana").expect("a key");
    let (writer, second) = new_key(Role::Append, "shop").expect("a key");
    assert!(!first.contains(&reader), "the key itself is not kept");
    let keys = Keys::parse(&format!("# who may\n\n{first}\n  {second}\n")).expect("a file of keys");
    assert_eq!((keys.role(&reader), keys.role(&writer)), (Some(Role::Read), Some(Role::Append)));
    for unknown in ["", "annalist_", first.as_str(), &reader.to_uppercase()] {
        assert_eq!(keys.role(unknown), None);
    }
    assert!(Role::Read < Role::Append && Role::Append < Role::Admin);
}

#[test]
fn a_file_that_cannot_be_read_is_refused() {
    let (_, line) = new_key(Role::Admin, "ops").expect("a key");
    for wrong in [
        "",
        "# nothing",
        "read",
        "read x 12",
        &format!("{line} more"),
        &format!("{line}\n{line}"),
        &line.replace("admin", "root"),
        &line.replace("admin ", ""),
    ] {
        assert!(Keys::parse(wrong).is_err(), "{wrong}");
    }
    assert!(new_key(Role::Read, "two words").is_err());
}
