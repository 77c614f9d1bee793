//! The comparison alone: events against a lock.

use proptest::prelude::*;

use super::{
    super::lock::{Entry, Field, Id, Payload},
    *,
};
use crate::{
    Event, EventSet,
    event::{FieldSchema, PayloadSchema},
};

/// A lock of one event with these fields, `order-placed` of category `order`.
macro_rules! placed {
    (@) => { false };
    (@ optional) => { true };
    (version $version:literal, upcasts $upcasts:expr, $($name:literal: $ty:literal $($optional:ident)?),*) => {
        lock_of(
            "order",
            &[EventSchema {
                name: "order-placed",
                version: $version,
                upcasts: &$upcasts,
                payload: PayloadSchema::Fields(&[
                    $(FieldSchema { name: $name, ty: $ty, optional: placed!(@ $($optional)?) }),*
                ]),
                tags: &[],
            }],
            &[("order-placed", $version)],
        )
    };
    ($($fields:tt)*) => { placed!(version 1, upcasts [], $($fields)*) };
}

fn before() -> Lock {
    placed!("customer": "Customer", "cds": "u32", "note": "Option<String>" optional)
}

#[track_caller]
fn refused(now: &Lock, reason: &str) {
    let broken = broken(&before(), now);
    assert!(broken.iter().any(|said| said.contains(reason)), "{broken:#?}");
}

#[test]
fn what_is_the_same_is_fine() {
    assert_eq!(changes(&before(), &before()), (vec![], before()));
}

#[test]
fn fields_may_not_go_or_change_without_a_new_version() {
    refused(&placed!("customer": "Customer", "note": "Option<String>" optional), "the field `cds: u32` is gone");
    let renamed = placed!("customer": "Customer", "count": "u32", "note": "Option<String>" optional);
    refused(&renamed, "the field `cds: u32` is gone");
    refused(
        &renamed,
        "the field `count: u32` is new and required; an `Option`, or one with #[serde(default)], would do",
    );
    let other_type = placed!("customer": "Customer", "cds": "u64", "note": "Option<String>" optional);
    refused(&other_type, "the field `cds` was `u32` and is `u64`");
    let required = placed!("customer": "Customer", "cds": "u32", "note": "Option<String>");
    refused(&required, "the field `note` was optional and is required");
}

#[test]
fn a_refusal_says_what_to_write() {
    let now = placed!("customer": "Customer", "note": "Option<String>" optional);
    let said = "`order-placed` of category `order` changed and is still version 1:
  - the field `cds: u32` is gone
  Take it back, or declare a new version beside the old shape:
      #[event(name = \"order-placed\", version = 2, upcast(from = OrderPlacedV1))]
      #[derive(serde::Deserialize)]
      struct OrderPlacedV1 { customer: Customer, cds: u32, note: Option<String> }
  with `From<OrderPlacedV1>` for the enum. If the JSON is what it was (only Rust's name of a type changed), correct the \
                block in events.lock by hand.";
    assert_eq!(broken(&before(), &now), [said]);
}

#[test]
fn optional_fields_may_come_and_orders_may_change() {
    let now = placed!("cds": "u32", "customer": "Customer", "gift": "bool" optional, "note": "Option<String>" optional);
    assert_eq!(changes(&before(), &now), (vec!["`order-placed` has the optional field `gift`".to_owned()], now));
    let now_optional = placed!("customer": "Customer", "cds": "u32" optional, "note": "Option<String>" optional);
    assert_eq!(changes(&before(), &now_optional).1, now_optional);
}

#[test]
fn a_new_version_keeps_what_is_known_of_the_old_one() {
    let now = placed!(version 2, upcasts [1], "customer": "Customer");
    let (changes, merged) = changes(&before(), &now);
    assert_eq!(changes, ["version 2 of `order-placed` is new"]);
    let id = Id { category: "order".to_owned(), name: "order-placed".to_owned(), version: 1 };
    let old = merged.0.get(&id).unwrap();
    assert!(!old.current);
    assert_eq!(old.payload, before().0.get(&id).unwrap().payload);
    assert_eq!(merged.0.len(), 2);
    // From then on the old one is locked too.
    let without = placed!(version 2, upcasts [], "customer": "Customer");
    let said = broken(&merged, &without);
    assert!(said[0].starts_with("`order-placed` version 1 cannot be read: it has no upcaster."), "{said:#?}");
    assert!(said[0].contains("upcast(version = 1, from = OrderPlacedV1)"), "{said:#?}");
    assert!(
        said[0].contains("struct OrderPlacedV1 { customer: Customer, cds: u32, note: Option<String> }"),
        "{said:#?}"
    );
}

#[test]
fn a_new_version_needs_an_upcaster_at_once() {
    refused(&placed!(version 2, upcasts [], "customer": "Customer"), "version 1 cannot be read: it has no upcaster");
}

#[test]
fn versions_do_not_go_back() {
    let third = placed!(version 3, upcasts [1, 2], "customer": "Customer");
    let said = broken(&third, &before());
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("is declared in version 1, but was in version 3"), "{said:#?}");
    assert!(said[0].contains("declare version 4"), "{said:#?}");
}

#[test]
fn events_may_come_but_not_go_or_move() {
    let paid: &'static [EventSchema] = const { &[EventSchema::unknown("order-paid", 1)] };
    let now = lock_of("order", paid, &[("order-paid", 1)]);
    refused(&now, "`order-placed` of category `order` is gone, but the log may hold it");
    refused(&now, "#[event(name = \"order-placed\")]");
    let moved = lock_of("sale", &[], &[("order-placed", 1)]);
    refused(&moved, "`order-placed` was of category `order` and is of category `sale`");
    assert_eq!(changes(&Lock::default(), &before()).0, ["the event `order-placed` of category `order` is new"]);
}

#[test]
fn a_value_is_compared_by_the_name_of_its_type() {
    let value = |ty| {
        let id = Id { category: "order".to_owned(), name: "order-moved".to_owned(), version: 1 };
        Lock([(id, Entry { current: true, payload: Payload::Value(String::from(ty)), tags: vec![] })].into())
    };
    assert_eq!(changes(&value("Move"), &value("Move")).0, [""; 0]);
    let said = broken(&value("Move"), &value("Step"));
    assert!(said[0].contains("its payload was a value of type `Move` and is a value of type `Step`"), "{said:#?}");
    assert!(said[0].contains("type OrderMovedV1 = Move;"), "{said:#?}");
}

#[test]
fn tags_may_change_which_is_said() {
    let tagged = |tags: &[&str]| {
        let mut lock = before();
        lock.0.values_mut().for_each(|entry| entry.tags = tags.iter().map(|&tag| tag.to_owned()).collect());
        lock
    };
    let (said, merged) = changes(&tagged(&["customer"]), &tagged(&["cds"]));
    assert_eq!(merged, tagged(&["cds"]));
    assert!(said[0].contains("has the tag `cds`; what was recorded before is not found by it"), "{said:#?}");
    assert!(said[1].contains("has no tag `customer` any more"), "{said:#?}");
}

#[test]
fn a_set_written_by_hand_keeps_what_was_known() {
    let by_hand = lock_of("order", &[], &[("order-placed", 2)]);
    let second = placed!(version 2, upcasts [1], "customer": "Customer");
    let (_, merged) = changes(&before(), &second);
    assert_eq!(changes(&merged, &by_hand), (vec![], merged));
}

#[derive(Event, Clone)]
#[event(category = "parcel")]
enum ParcelEvent {
    #[event(name = "parcel-sent", version = 2, upcast(from = SentV1))]
    Sent {
        #[event(tag)]
        #[serde(rename = "to")]
        receiver: String,
        weight: Option<u32>,
        #[serde(default)]
        fragile: bool,
        #[serde(skip)]
        printed: bool,
    },
    #[event(name = "parcel-lost")]
    Lost,
    #[event(name = "parcel-moved")]
    Moved(Vec<(u8, u8)>),
}

#[derive(serde::Deserialize)]
struct SentV1 {
    to: String,
}

impl From<SentV1> for ParcelEvent {
    fn from(old: SentV1) -> Self {
        Self::Sent { receiver: old.to, weight: None, fragile: false, printed: false }
    }
}

#[test]
fn the_file_is_what_the_derive_saw() {
    let declared = Declared { category: ParcelEvent::CATEGORY, types: ParcelEvent::TYPES, schema: ParcelEvent::SCHEMA };
    let lock = Lock::of(&[declared]);
    let text = lock.to_string();
    let (_, blocks) = text.split_once("\n\n").unwrap();
    assert_eq!(
        blocks,
        "event parcel-lost
  category parcel
  version 1, current
  payload object

event parcel-moved
  category parcel
  version 1, current
  value Vec<(u8, u8)>

event parcel-sent
  category parcel
  version 1, upcast
  payload not described

event parcel-sent
  category parcel
  version 2, current
  payload object
  field to: String
  field weight: Option<u32>, optional
  field fragile: bool, optional
  tag receiver
"
    );
    assert_eq!(Lock::parse(&text), Ok(lock));
}

#[test]
fn a_damaged_file_is_not_taken_for_another() {
    let text = before().to_string();
    let said = |text: &str| Lock::parse(text).unwrap_err();
    assert!(said(&text.replace("version 1, current", "<<<<<<< HEAD")).contains("line 6"));
    assert!(said(&text.replace("version 1", "version one")).starts_with("line 6"));
    assert!(said(&text.replace("field cds: u32", "field cds")).contains("`  field cds`"));
    assert!(said(&text.replace("  category order\n", "")).contains("no category"));
    assert!(said("  field a: u8").starts_with("line 1"));
}

fn entries() -> impl Strategy<Value = Lock> {
    let name = "[a-z: ,-]{0,4}[a-z]";
    let field = (name, "[A-Za-z<>:]{1,6}", any::<bool>());
    let field = field.prop_map(|(name, ty, optional)| Field { name, ty, optional });
    let payload = prop_oneof![
        Just(Payload::Unknown),
        "[A-Za-z<, >]{0,5}[A-Z>]".prop_map(Payload::Value),
        prop::collection::vec(field, 0..3).prop_map(Payload::Fields),
    ];
    let entry = (any::<bool>(), payload, prop::collection::vec(name, 0..3));
    let entry = entry.prop_map(|(current, payload, tags)| Entry { current, payload, tags });
    let id = ("[a-z]{1,3}", name, 1..4_u16);
    let id = id.prop_map(|(category, name, version)| Id { category, name, version });
    prop::collection::btree_map(id, entry, 0..4).prop_map(Lock)
}

proptest! {
    #[test]
    fn what_is_written_is_read(lock in entries()) {
        prop_assert_eq!(Lock::parse(&lock.to_string()), Ok(lock));
    }
}
