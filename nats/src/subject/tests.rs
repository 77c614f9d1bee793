use annalist::outbox::contract;

use super::*;

fn subject(stream: &str) -> String {
    let mut message = contract::messages(1, 1).remove(0);
    message.stream = stream.to_owned();
    of("ev.orders", &message)
}

#[test]
fn a_subject_has_the_category_and_the_identifier_as_tokens() {
    assert_eq!(subject("order-17"), "ev.orders.order.17");
    assert_eq!(subject("order-7f3a-42_B"), "ev.orders.order.7f3a-42_B");
    assert_eq!(subject("order"), "ev.orders.order._");
}

#[test]
fn what_nats_would_not_take_in_a_token_is_percent_encoded() {
    assert_eq!(subject("order-7.a b*>%"), "ev.orders.order.7%2Ea%20b%2A%3E%25");
    assert_eq!(subject("größe-ü"), "ev.orders.gr%C3%B6%C3%9Fe.%C3%BC");
    for stream in ["order-7.a b*>%", "größe-ü", "order"] {
        assert_eq!(check_subject(&subject(stream)), Ok(()));
    }
}

#[test]
fn names_of_streams_are_safe_everywhere() {
    for name in ["ORDERS", "ev_orders-2"] {
        assert_eq!(check_stream(name), Ok(()));
    }
    for name in ["", "OR.DERS", "OR DERS", "ORDERS>", "ÖRDERS", "a/b", &"A".repeat(129)] {
        assert!(check_stream(name).is_err(), "{name}");
    }
}

#[test]
fn subjects_are_literal() {
    for subject in ["", "ev.", ".ev", "ev..orders", "ev.*", "ev.>", "ev orders", "ev.\n"] {
        assert!(check_subject(subject).is_err(), "{subject}");
    }
}

#[test]
fn a_pattern_covers_a_prefix_if_it_takes_everything_below() {
    for pattern in [">", "ev.>", "ev.orders.>", "*.orders.>", "ev.*.>"] {
        assert!(covers(pattern, "ev.orders"), "{pattern}");
    }
    for pattern in ["ev.orders", "ev.*", "ev.bank.>", "ev.orders.order.>", "ev.orders.*", "other.>"] {
        assert!(!covers(pattern, "ev.orders"), "{pattern}");
    }
}
