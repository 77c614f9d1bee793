//! The test as a service has it: files written once, and compared from then on.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, Serialize};

use super::super::{check::lock, file::Mode};
use crate::{Event, EventSet};

/// The events of a service, as they are in three releases.
mod first {
    use super::*;

    #[derive(Event, Clone)]
    #[event(category = "account")]
    pub(super) enum AccountEvent {
        #[event(name = "account/opened")]
        Opened,
        #[event(name = "money-deposited")]
        Deposited { dollars: u64 },
        #[event(name = "owner-moved")]
        Moved(Address),
    }

    #[derive(Clone, Serialize, Deserialize)]
    pub(super) struct Address {
        pub(super) street: String,
        pub(super) floors: Vec<u8>,
    }

    pub(super) fn examples() -> [AccountEvent; 3] {
        let address = Address { street: "Grote Markt".to_owned(), floors: vec![1, 2] };
        [AccountEvent::Opened, AccountEvent::Deposited { dollars: 50 }, AccountEvent::Moved(address)]
    }
}

mod second {
    use super::*;

    #[derive(Event, Clone)]
    #[event(category = "account")]
    pub(super) enum AccountEvent {
        #[event(name = "account/opened")]
        Opened,
        #[event(name = "money-deposited", version = 2, upcast(from = DepositedV1))]
        Deposited { cents: u64 },
        #[event(name = "owner-moved")]
        Moved(Address),
    }

    /// What the lock cannot see: its type has the same name and another shape.
    #[derive(Clone, Serialize, Deserialize)]
    pub(super) struct Address {
        street: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        town: Option<String>,
        floors: Vec<u8>,
    }

    #[derive(Deserialize)]
    pub(super) struct DepositedV1 {
        dollars: u64,
    }

    impl From<DepositedV1> for AccountEvent {
        fn from(old: DepositedV1) -> Self {
            Self::Deposited { cents: old.dollars * 100 }
        }
    }
}

/// A release in which the shape of an address is another one, under its old name.
mod mistaken {
    use super::*;

    #[derive(Event, Clone)]
    #[event(category = "account")]
    pub(super) enum AccountEvent {
        #[event(name = "account/opened")]
        Opened,
        #[event(name = "money-deposited")]
        Deposited { dollars: u64 },
        #[event(name = "owner-moved")]
        Moved(Address),
    }

    #[derive(Clone, Serialize, Deserialize)]
    pub(super) struct Address {
        #[serde(default)]
        road: String,
        floors: Vec<u8>,
    }
}

fn run<E: EventSet>(folder: &Path, examples: impl IntoIterator<Item = E>, mode: Mode) -> Result<(), String> {
    lock(folder).events(examples).check_in(mode)
}

/// All files with their content, in order.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            found.extend(files(&entry.path()).into_iter().map(|(below, text)| (format!("{name}/{below}"), text)));
        } else {
            found.push((name, fs::read_to_string(entry.path()).unwrap()));
        }
    }
    found.sort();
    found
}

/// A folder as the first release left it.
fn released() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), first::examples(), Mode::Update).unwrap();
    folder
}

#[test]
fn updating_writes_a_lock_and_readable_samples_and_comparing_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let missing = run(folder.path(), first::examples(), Mode::Compare).unwrap_err();
    assert!(
        missing.contains("is out of date. Nothing breaks: write it with `ANNALIST_LOCK=update cargo test`"),
        "{missing}"
    );
    assert!(missing.contains("- the event `money-deposited` of category `account` is new"), "{missing}");
    assert_eq!(files(folder.path()), []);

    run(folder.path(), first::examples(), Mode::Update).unwrap();
    let written = files(folder.path());
    let names: Vec<_> = written.iter().map(|(name, _)| name.as_str()).collect();
    let samples = ["account%2fopened.v1.json", "money-deposited.v1.json", "owner-moved.v1.json"];
    assert_eq!(names[0], "events.lock");
    assert_eq!(names[1..], samples.map(|name| format!("golden/account/{name}")));
    assert_eq!(written[2].1, "{\n  \"dollars\": 50\n}\n");
    for mode in [Mode::Compare, Mode::Update] {
        run(folder.path(), first::examples(), mode).unwrap();
        assert_eq!(files(folder.path()), written);
    }
}

#[test]
fn a_new_version_is_added_and_the_old_sample_stays_and_is_read() {
    let folder = released();
    let example = || [second::AccountEvent::Deposited { cents: 1 }];
    let sample = |version: u32| folder.path().join(format!("golden/account/money-deposited.v{version}.json"));
    let old = fs::read_to_string(sample(1)).unwrap();

    let asked = run(folder.path(), example(), Mode::Compare).unwrap_err();
    assert!(asked.contains("- version 2 of `money-deposited` is new"), "{asked}");
    let without = run::<second::AccountEvent>(folder.path(), [], Mode::Update).unwrap_err();
    assert!(
        without.contains("`money-deposited` version 2 of category `account` has no sample. Give an example"),
        "{without}"
    );

    run(folder.path(), example(), Mode::Update).unwrap();
    assert_eq!(fs::read_to_string(sample(1)).unwrap(), old);
    assert_eq!(fs::read_to_string(sample(2)).unwrap(), "{\n  \"cents\": 1\n}\n");
    run::<second::AccountEvent>(folder.path(), [], Mode::Compare).unwrap();
}

#[test]
fn every_locked_version_needs_a_sample() {
    let folder = released();
    run(folder.path(), [second::AccountEvent::Deposited { cents: 1 }], Mode::Update).unwrap();
    let sample = |version: u32| folder.path().join(format!("golden/account/money-deposited.v{version}.json"));
    fs::remove_file(sample(2)).unwrap();
    let said = run(folder.path(), [second::AccountEvent::Deposited { cents: 1 }], Mode::Compare).unwrap_err();
    assert!(
        said.contains("version 2 of category `account` has no sample. Write it with `ANNALIST_LOCK=update"),
        "{said}"
    );
    fs::remove_file(sample(1)).unwrap();
    let said = run(folder.path(), [second::AccountEvent::Deposited { cents: 1 }], Mode::Update).unwrap_err();
    assert!(
        said.contains("version 1 of category `account` has no sample. Write a payload as it was recorded"),
        "{said}"
    );
    assert!(sample(2).exists());
}

#[test]
fn an_old_sample_that_its_upcaster_cannot_read_is_told() {
    let folder = released();
    run(folder.path(), [second::AccountEvent::Deposited { cents: 1 }], Mode::Update).unwrap();
    fs::write(folder.path().join("golden/account/money-deposited.v1.json"), "{\"pounds\": 5}").unwrap();
    let said = run::<second::AccountEvent>(folder.path(), [], Mode::Compare).unwrap_err();
    assert!(
        said.contains("the payload of `money-deposited` version 1 does not fit: missing field `dollars`"),
        "{said}"
    );
}

#[test]
fn samples_show_what_the_lock_cannot_see() {
    let folder = released();
    for mode in [Mode::Compare, Mode::Update] {
        let said = run::<mistaken::AccountEvent>(folder.path(), [], mode).unwrap_err();
        assert!(said.contains("comes back without `.street`: what was recorded is not read whole"), "{said}");
    }
    // The second release's address has a field more, which is fine.
    run(folder.path(), [second::AccountEvent::Deposited { cents: 1 }], Mode::Update).unwrap();
}

#[test]
fn what_breaks_is_not_written_either() {
    let folder = released();
    run(folder.path(), [second::AccountEvent::Deposited { cents: 1 }], Mode::Update).unwrap();
    let before = files(folder.path());
    let said = run(folder.path(), first::examples(), Mode::Update).unwrap_err();
    assert!(said.starts_with("Recorded events would no longer be readable.\n- `money-deposited`"), "{said}");
    assert_eq!(files(folder.path()), before);
}

#[derive(Event, Clone)]
#[event(category = "scale")]
enum ScaleEvent {
    #[event(name = "weighed")]
    Weighed { marks: BTreeMap<(u8, u8), u8> },
}

#[test]
fn an_example_that_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let unwritable = ScaleEvent::Weighed { marks: BTreeMap::from([((1, 2), 3)]) };
    let said = run(folder.path(), [unwritable], Mode::Update).unwrap_err();
    assert!(said.starts_with("an example cannot be written: the payload of `weighed`"), "{said}");
    assert_eq!(files(folder.path()), []);
}

#[test]
#[expect(clippy::panic, reason = "what is checked is a panic")]
fn a_failing_check_fails_the_test() {
    let folder = released();
    let failed = std::panic::catch_unwind(|| lock(folder.path()).events::<second::AccountEvent>([]).check());
    let Err(said) = failed else { panic!("it did not fail") };
    assert!(said.downcast_ref::<String>().unwrap().contains("version 2 of `money-deposited` is new"));
}
