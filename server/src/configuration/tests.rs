use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use toml::Table;

use super::{Configuration, ConfigurationError, Values, flat};
use crate::{options::ServerOptions, settings::SETTINGS, tls::TlsOptions};

fn no_variables(_: &str) -> Option<String> {
    None
}

/// Reads a file with this text.
fn of_file(text: &str, flags: &Values, variables: &[(&str, &str)]) -> Result<Configuration, ConfigurationError> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("server.toml");
    fs::write(&path, text).expect("written");
    let variable =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Configuration::of(flags, Some(&path), variable)
}

fn setting(configuration: &Configuration, name: &str) -> (String, String) {
    let found = configuration.settings().iter().find(|configured| configured.name == name).expect("a setting");
    (found.value.clone().unwrap_or_default(), found.origin.to_string())
}

fn refused(text: &str) -> String {
    of_file(text, &Values::new(), &[]).expect_err("it is refused").to_string()
}

#[test]
fn the_nearest_word_counts() {
    let text = "listen = \"127.0.0.1:1\"\ndata = \"file\"\n[store]\npage_bytes = 4096\ncompression = \"lz4\"\n";
    let flags = Values::from([("listen", "127.0.0.1:3".into())]);
    let variables = [("ANNALIST_LISTEN", "127.0.0.1:2"), ("ANNALIST_STORE_PAGE_BYTES", "16384")];
    let configuration = of_file(text, &flags, &variables).expect("it can be used");
    assert_eq!(setting(&configuration, "listen"), ("\"127.0.0.1:3\"".to_owned(), "--listen".to_owned()));
    let (value, origin) = setting(&configuration, "store.page_bytes");
    assert_eq!((value.as_str(), origin.as_str()), ("16384", "ANNALIST_STORE_PAGE_BYTES"));
    let (value, origin) = setting(&configuration, "data");
    assert!(value == "\"file\"" && origin.ends_with("server.toml"), "{value} of {origin}");
    let default = setting(&configuration, "store.durability");
    assert_eq!(default, ("\"power-loss\"".to_owned(), "default".to_owned()));
    let options = configuration.options();
    assert_eq!((options.listen.port(), options.store.page_bytes), (3, 16384));
    assert_eq!(options.store.compression, annalist_store::Compression::Lz4);
}

#[test]
fn what_is_not_known_is_refused_with_what_may_be_meant() {
    assert!(refused("lisen = \"127.0.0.1:1\"").ends_with("there is no setting `lisen`; did you mean `listen`?"));
    assert!(refused("[store]\npage_byte = 1").ends_with("did you mean `store.page_bytes`?"));
    assert!(refused("page_bytes = 1").ends_with("did you mean `store.page_bytes`?"));
    assert!(refused("[tls]\nclient-ca = \"x\"").ends_with("did you mean `tls.client_ca`?"));
    assert!(refused("colour = \"red\"").ends_with("there is no setting `colour`"));
}

#[test]
fn a_wrong_value_is_named_with_where_it_is_from() {
    let wrong = refused("[store]\npage_bytes = \"large\"");
    assert!(wrong.starts_with("store.page_bytes of ") && wrong.contains("server.toml: invalid type"), "{wrong}");
    let wrong = refused("[store]\ncompression = \"gzip\"");
    assert!(wrong.contains("store.compression of") && wrong.contains("`lz4`"), "{wrong}");
    assert!(refused("listen = \"everywhere\"").contains("listen of"));
    assert!(refused("tls = 5").contains("there is no setting `tls`"));
    assert!(refused("[tls]\ncert = \"a\"").contains("tls.key"));
    assert!(refused("[tls]\nclient_ca = \"a\"").contains("tls.cert"));
    assert!(refused("[tls]\nclient_crl = \"a\"").contains("tls.cert"));
    let authority = refused("[tls]\ncert = \"a\"\nkey = \"a\"\nclient_crl = \"a\"");
    assert!(authority.contains("say with tls.client_ca"), "{authority}");
    assert!(refused("listen = ").contains("line 1"), "{}", refused("listen = "));
    let wrong = of_file("", &Values::new(), &[("ANNALIST_STORE_CREATE", "yes")]).expect_err("refused").to_string();
    assert_eq!(wrong, "store.create of ANNALIST_STORE_CREATE: `yes` is not `true` or `false`");
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let missing = Configuration::of(&Values::new(), Some(Path::new("/nowhere/annalist.toml")), no_variables);
    assert!(missing.expect_err("it is not").to_string().contains("/nowhere/annalist.toml"));
    let none = Configuration::of(&Values::new(), None, no_variables).expect("the current folder has none");
    assert_eq!(*none.options(), ServerOptions::default());
}

#[test]
fn every_option_is_a_setting() {
    let mut tls = TlsOptions::new("cert", "key");
    (tls.client_ca, tls.client_crl) = (Some("ca".into()), Some("crl".into()));
    let mut options = ServerOptions::default();
    (options.keys, options.tls, options.audit) = (Some("keys".into()), Some(tls), Some("audit".into()));
    (options.backups, options.traces) = (Some("backups".into()), Some("http://collector:4318/v1/traces".to_owned()));
    let options: BTreeSet<String> =
        flat(&Table::try_from(options).expect("options are data"), "").into_keys().collect();
    let settings: BTreeSet<String> = SETTINGS.iter().map(|setting| setting.name.to_owned()).collect();
    assert_eq!(settings, options);
}

#[test]
fn every_setting_is_documented() {
    let defaults = flat(&Table::try_from(ServerOptions::default()).expect("options are data"), "");
    let mut table = "| setting | flag | default | what it says |\n|---|---|---|---|\n".to_owned();
    for setting in SETTINGS {
        let default = defaults.get(setting.name).map(|value| format!("`{value}`")).unwrap_or_default();
        let flag = setting.flag().map(|flag| format!("`{flag}`")).unwrap_or_default();
        writeln!(table, "| `{}` | {flag} | {default} | {} |", setting.name, setting.what).expect("text");
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/server.md");
    let page = fs::read_to_string(page).expect("the page is there");
    assert!(page.contains(&table), "docs/server.md has another table of settings; it must be:\n\n{table}");
}
