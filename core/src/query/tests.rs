use super::*;

fn tag(name: &str) -> Tag {
    Tag::new(name).unwrap()
}

fn stream(name: &str) -> StreamId {
    StreamId::new(name).unwrap()
}

/// Whether an item matches an event in stream `order-1` of type `paid` with tags `a` and `b`.
fn meets(item: &QueryItem) -> bool {
    item.matches("order-1", "paid", &["a", "b"].into_iter())
}

#[test]
fn types_are_alternatives_and_tags_are_all_required() {
    let item = QueryItem::new;
    assert!(meets(&item()));
    assert!(meets(&item().types(["placed", "paid"])));
    assert!(!meets(&item().types(["placed"])));
    assert!(meets(&item().tags([tag("b"), tag("a")])));
    assert!(!meets(&item().tags([tag("a"), tag("c")])));
    assert!(!meets(&item().types(["placed"]).tags([tag("a")])));
}

#[test]
fn a_place_is_a_category_or_a_stream() {
    let item = QueryItem::new;
    assert!(meets(&item().category("order")));
    assert!(!meets(&item().category("order-1")), "a stream with an identifier is not a category");
    assert!(!meets(&item().category("ord")));
    assert!(meets(&item().stream(stream("order-1"))));
    assert!(!meets(&item().stream(stream("order-10"))));
    assert!(QueryItem::new().category("order").matches("order", "paid", &std::iter::empty()));
}

#[test]
fn what_cannot_be_a_query_is_refused() {
    let refused = |query: Query| query.check().unwrap_err();
    assert_eq!(refused(Query::from_iter([])), Invalid::EmptyQuery);
    assert!(matches!(refused(Query::types([""])), Invalid::Empty { .. }));
    assert!(matches!(refused(Query::types(["a\nb"])), Invalid::ControlCharacter { .. }));
    assert!(matches!(refused(Query::category("a-b")), Invalid::Category { .. }));
    let many = |count| (0..count).map(|_| QueryItem::new()).collect::<Query>();
    assert_eq!(many(limits::QUERY_ITEMS_MAX).check(), Ok(()));
    assert!(matches!(refused(many(limits::QUERY_ITEMS_MAX + 1)), Invalid::TooMany { .. }));
    let names = |count: usize| Query::types((0..count).map(|n| n.to_string()));
    assert_eq!(names(limits::QUERY_NAMES_MAX).check(), Ok(()));
    assert!(matches!(refused(names(limits::QUERY_NAMES_MAX + 1)), Invalid::TooMany { .. }));
}

#[test]
fn a_query_reads_as_text() {
    assert_eq!(Query::all().to_string(), "every event");
    let item = QueryItem::new().types(["a", "b"]).tags([tag("x"), tag("y")]).category("c");
    assert_eq!(Query::of(item).to_string(), "type `a` or `b`, tag `x` and `y`, category `c`");
    assert_eq!(Query::stream(stream("s-1")).to_string(), "stream `s-1`");
}
