//! The short form of `make chaos`: services and broker are killed, the provider is slow, failing and down, and at the end every
//! order is shipped or undone, and nothing was done twice.

use std::time::Duration;

use orders::{
    fleet::{Setup, chaos},
    fulfilment::{CARD_MAX, PARCEL_CDS_MAX},
    progress::Progress,
    rows::Rows,
};

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_every_order_is_shipped_or_undone_and_nothing_is_done_twice() {
    let dir = tempfile::tempdir().unwrap();
    let rows: Vec<_> = Rows::open(None).unwrap().take(300).map(|row| row.unwrap().unwrap()).collect();
    let (dir, program) = (dir.path().to_owned(), env!("CARGO_BIN_EXE_orders").into());
    let setup = Setup { dir, program, card_max: CARD_MAX, parcel_max: PARCEL_CDS_MAX };
    let mut progress = Progress::begin("orders", 0, 300);
    let survived = chaos(&setup, &rows, Duration::from_secs(12), 0x5eed, &mut progress).await.unwrap();
    assert!(survived.wrong.is_empty(), "{:?}\n{}", survived.blows, survived.wrong.join("\n"));
    let books = survived.books;
    assert_eq!((books.orders.placed, books.orders.shipped + books.orders.cancelled), (300, 300));
    assert!(books.orders.shipped > 100 && books.inventory.refused > 0, "{books:?}");
    assert!(survived.blows.values().sum::<u64>() >= 5, "{:?}", survived.blows);
}
