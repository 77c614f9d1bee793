//! Keys as they are made, kept and looked up.

use super::*;

#[test]
fn a_key_is_known_by_its_line() {
    let (reader, first) = new_key(Role::Read, "grafana", &[]).expect("a key");
    let (writer, second) = new_key(Role::Append, "shop", &[]).expect("a key");
    assert!(!first.contains(&reader), "the key itself is not kept");
    let keys = Keys::parse(&format!("# who may\n\n{first}\n  {second}\n")).expect("a file of keys");
    let role = |key: &str| keys.bearer(key).map(|bearer| bearer.role);
    assert_eq!((role(&reader), role(&writer)), (Some(Role::Read), Some(Role::Append)));
    for unknown in ["", "annalist_", first.as_str(), &reader.to_uppercase()] {
        assert_eq!(role(unknown), None);
    }
    assert!(Role::Read < Role::Append && Role::Append < Role::Admin);
}

#[test]
fn a_key_can_be_confined() {
    let words = ["order=append".to_owned(), "a=b=read".to_owned()];
    let (key, line) = new_key(Role::Append, "shop", &words).expect("a key");
    assert!(line.ends_with(" order=append a=b=read"), "{line}");
    let bearer = Keys::parse(&line).expect("a file of keys").bearer(&key).expect("it is known");
    let categories = BTreeMap::from([("order".to_owned(), Right::Append), ("a=b".to_owned(), Right::Read)]);
    assert_eq!((&*bearer.name, &bearer.categories), ("shop", &Some(categories)));
    for (role, word) in [
        (Role::Admin, "order=read"),
        (Role::Read, "order=append"),
        (Role::Read, "order"),
        (Role::Read, "=read"),
        (Role::Read, "order=write"),
        (Role::Read, "a b=read"),
    ] {
        assert!(new_key(role, "x", &[word.to_owned()]).is_err(), "{role} {word}");
        assert!(Keys::parse(&format!("{role} x {} {word}", "0".repeat(64))).is_err(), "{role} {word}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_refused() {
    let (_, line) = new_key(Role::Admin, "ops", &[]).expect("a key");
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
    assert!(new_key(Role::Read, "two words", &[]).is_err());
}

#[test]
fn a_certificate_is_known_by_a_name_of_its_own() {
    let text = "append shop dns:Shop.internal order=append\nread grafana uri:spiffe://internal/Grafana";
    let keys = Keys::parse(text).expect("a file of keys");
    let file = KeyFile { path: "-".into(), now: ArcSwap::from_pointee(keys) };
    let known = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        file.certified(&names).map(|somebody| (somebody.name.to_string(), somebody.categories.is_some()))
    };
    assert_eq!(known(&["dns:other", "dns:shop.internal"]), Some(("shop".to_owned(), true)));
    assert_eq!(known(&["uri:spiffe://internal/Grafana"]), Some(("grafana".to_owned(), false)));
    // Nothing but all of it.
    for other in ["dns:internal", "dns:a.shop.internal", "uri:shop.internal", "uri:spiffe://internal/grafana", "*", ""]
    {
        assert_eq!(known(&[other]), None, "{other}");
    }
    assert!(file.names_certificates() && file.bearer("dns:shop.internal").is_none());
    for wrong in [
        "read x dns:",
        "read x ip:127.0.0.1",
        "read x email:a@b",
        "admin x dns:a order=read",
        "read x dns:a\nread y dns:A",
    ] {
        assert!(Keys::parse(wrong).is_err(), "{wrong}");
    }
}
