use annalist_core::{Cursor, EventId, EventType, Expected, NewEvent, Position, QueryItem, Version};

use super::*;

fn shop() -> Principal {
    let categories = BTreeMap::from([("order".to_owned(), Right::Append), ("payment".to_owned(), Right::Read)]);
    Principal { name: "shop".into(), role: Role::Append, categories: Some(categories) }
}

fn stream(name: &str) -> StreamId {
    StreamId::new(name.to_owned()).expect("a valid name")
}

fn append(name: &str) -> Append {
    let event = NewEvent::new(EventId::generate(), EventType::new("placed").expect("a valid type"), "{}");
    Append::new().events(stream(name), Expected::Any, [event])
}

fn said(result: Result<(), Denied>) -> String {
    result.expect_err("it is denied").to_string()
}

#[test]
fn categories_confine_what_is_written() {
    shop().may_append(&append("order-1")).expect("it may");
    assert_eq!(said(shop().may_append(&append("payment-1"))), "`shop` may read in `payment`; this needs append");
    assert!(said(shop().may_append(&append("customer-1"))).contains("may nothing in `customer`"));
    // One entry that may be is not enough.
    let both = append("order-1").events(stream("customer-1"), Expected::NoStream, []);
    assert!(said(shop().may_append(&both)).contains("customer"));
    // A guard finds out whether there is something, and so does a condition.
    let guarded = append("order-1").events(stream("payment-1"), Expected::NoStream, []);
    shop().may_append(&guarded).expect("it may look there");
    let mut conditional = append("order-1");
    conditional.conditions.push(annalist_core::Condition { query: Query::category("customer"), after: Cursor::START });
    assert!(said(shop().may_append(&conditional)).contains("customer"));
    Principal::unconfined("ops").may_append(&both).expect("who is not confined may");
}

#[test]
fn a_query_must_say_where_it_looks() {
    for may in [
        Query::category("order"),
        Query::stream(stream("payment-7")),
        Query::category("order").or(QueryItem::new().category("payment")),
    ] {
        shop().may_query(&may).expect("it may");
    }
    let types = Query::of(QueryItem::new().types(["placed"]));
    for (query, why) in [
        (Query::all(), "whole log"),
        (types, "whole log"),
        (Query::category("customer"), "customer"),
        (Query::category("order").or(QueryItem::new().category("customer")), "customer"),
        (Query::stream(stream("customer-1")), "customer"),
    ] {
        assert!(said(shop().may_query(&query)).contains(why), "{query}");
    }
    assert!(said(shop().may_read(&Read::all(Position::new(0)))).contains("whole log"));
    assert!(said(shop().may_read(&Read::stream(stream("customer-1"), Version::new(0)))).contains("customer"));
    shop().may_use(Right::Append, &stream("order-1")).expect("it may");
    assert!(said(shop().may_use(Right::Append, &stream("payment-1"))).contains("append"));
}
