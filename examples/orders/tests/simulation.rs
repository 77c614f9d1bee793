//! The whole shop from seeds: customers at the same time, a store that fails now and then, a process that dies at any of its
//! durable steps. Every order ends fulfilled or undone, and the books add up. And what the world is told of an order.

use annalist::{
    App,
    outbox::{MemoryPublisher, Outbox},
    testing::{
        given_outbox,
        simulation::{Client, simulate},
    },
    workflow::WorkflowState,
};
use orders::{
    domain::{Cents, Customer, Date, Order, OrderEvent, OrderId, Place, parse_date},
    fulfilment::{BOOKS, Books, CARD_MAX, Deliver, Fulfilment, PARCEL_CDS_MAX, Shelf, Stock, wiring},
    integration::public_events,
};
use serde_json::json;

const CUSTOMERS: usize = 3;
const ORDERS_EACH: u64 = 3;
/// So many CDs come in: not enough for every order.
const DELIVERED: u64 = 25;

fn date() -> Date {
    parse_date("1997-01-18").expect("it is one")
}

fn some_customer(number: u64) -> Customer {
    u32::try_from(number).ok().and_then(Customer::from_number).expect("it has few digits")
}

/// All orders go to the same shelf.
fn order(customer: u64, nth: u64) -> OrderId {
    OrderId(Shelf::COUNT * (customer * ORDERS_EACH + nth + 1))
}

/// Places orders, of which some cost more than a card is good for, some do not fit into a parcel, and some find an empty shelf.
async fn customer(client: Client) {
    let (number, app) = (client.number() as u64, client.app());
    if number == 0 {
        let shelf = Shelf::of(order(0, 0));
        let deliver = async || app.on::<Stock>(shelf).execute(Deliver { cds: DELIVERED }).key("delivery").await;
        client.insist(deliver).await.expect("it is always possible");
    }
    for nth in 0..ORDERS_EACH {
        let id = order(number, nth);
        let place = Place {
            customer: some_customer(number),
            date: date(),
            cds: 1 + u32::try_from(client.below(u64::from(PARCEL_CDS_MAX) + 2)).expect("it is small"),
            total: Cents(client.below(CARD_MAX.0 * 5 / 4)),
        };
        let key = format!("row-{id}/place");
        let place = async || app.on::<Order>(id).execute(place.clone()).key(&key).await;
        client.insist(place).await.expect("it is new");
    }
}

async fn check(app: &App) -> [u64; 2] {
    let workflow = app.workflow::<Fulfilment>().expect("it is there");
    let mut ends = [0; 2];
    for (customer, nth) in (0..CUSTOMERS as u64).flat_map(|customer| (0..ORDERS_EACH).map(move |nth| (customer, nth))) {
        let id = order(customer, nth);
        let ended = workflow.ended(&id.to_string(), std::time::Duration::from_hours(24)).await.expect("it ends");
        match ended.state {
            WorkflowState::Done => ends[0] += 1,
            WorkflowState::Compensated => ends[1] += 1,
            other => panic!("the order {id} is {other:?}"),
        }
    }
    let view = app.view::<Books>().expect("it is there").after(app.head().await.expect("it can be told"));
    let books = view.get(&BOOKS, &()).await.expect("it can be read").expect("there are some");
    assert!(books.adds_up(), "{books:?}");
    assert_eq!(books.delivered, DELIVERED);
    let shelf = app.load::<Stock>(&Shelf::of(order(0, 0))).await.expect("it can be read").state;
    assert_eq!(shelf.available + books.reserved, DELIVERED, "{books:?}");
    ends
}

#[test]
fn every_order_ends_and_the_books_add_up_by_every_seed() {
    let seeds = std::env::var("ANNALIST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(40).min(1000);
    let (mut deaths, ends) = (0, std::cell::Cell::new([0; 2]));
    for seed in 0..seeds {
        let simulation = simulate(seed, wiring).clients(CUSTOMERS, customer);
        let checked = simulation.run(async |app| {
            let ([fulfilled, undone], so_far) = (check(app).await, ends.get());
            ends.set([so_far[0] + fulfilled, so_far[1] + undone]);
        });
        deaths += checked.deaths;
    }
    assert!(deaths > seeds, "it would say little if it never died");
    assert!(ends.get().iter().all(|ends| *ends > seeds), "fulfilled and undone: {:?}", ends.get());
}

#[test]
fn the_world_is_told_of_an_order_what_the_contract_says() {
    let outbox = Outbox::new(MemoryPublisher::new()).map_events(public_events);
    let (customer, date) = (some_customer(4), date());
    let placed = OrderEvent::Placed { customer, date, cds: 2, total: Cents(2933) };
    let paid = OrderEvent::Paid { customer, date, amount: Cents(2933) };
    let shipped = OrderEvent::Shipped { customer, date, cds: 2 };
    let common = |more: serde_json::Value| {
        let mut all = json!({ "order": "7", "customer": customer, "date": date });
        all.as_object_mut().expect("it is one").extend(more.as_object().expect("it is one").clone());
        all
    };
    given_outbox(&outbox, [("order-7", placed), ("order-7", paid), ("order-7", shipped)]).then_publishes([
        ("orders.order-placed.v1", "7", common(json!({ "cds": 2, "total_cents": 2933 }))),
        ("orders.order-paid.v1", "7", common(json!({ "amount_cents": 2933 }))),
        ("orders.order-shipped.v1", "7", common(json!({ "cds": 2 }))),
    ]);
}
