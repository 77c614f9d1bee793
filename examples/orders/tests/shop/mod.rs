//! The shop as real processes, in a directory of its own.

use std::{fmt::Debug, time::Duration};

use orders::{
    domain::{Cents, Customer, OrderId, parse_date},
    fleet::{Answered, Fleet, Setup, ask, read},
    services::orders::{OrderStatus, PlaceOrder},
};
use serde::{Serialize, de::DeserializeOwned};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

/// How long anything may take: what takes longer hangs.
const PATIENCE: Duration = Duration::from_mins(2);

/// The running shop.
pub struct Shop {
    pub fleet: Fleet,
    _dir: TempDir,
}

impl Shop {
    /// A new one, whose processes are all ready.
    pub async fn start(card_max: Cents, parcel_max: u32) -> Self {
        let mut shop = Self::prepare(card_max, parcel_max);
        shop.start_all().await;
        shop
    }

    /// Starts what was prepared, and waits until all are ready.
    pub async fn start_all(&mut self) {
        let Self { fleet, .. } = self;
        fleet.start_broker().await.unwrap();
        for name in orders::fleet::ALL {
            fleet.start_service(name).unwrap();
        }
        for name in orders::fleet::ALL {
            fleet.ready(name).await.unwrap();
        }
    }

    /// One of which nothing runs yet.
    pub fn prepare(card_max: Cents, parcel_max: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let program = env!("CARGO_BIN_EXE_orders").into();
        let setup = Setup { dir: dir.path().to_owned(), program, card_max, parcel_max };
        Self { fleet: Fleet::prepare(&setup).unwrap(), _dir: dir }
    }

    /// CDs come in.
    pub async fn deliver(&self, shelf: u64, cds: u64) {
        let path = format!("/v1/shelves/{shelf}/deliveries");
        let delivered =
            self.send("inventory", &path, &format!("delivery-{shelf}"), &serde_json::json!({ "cds": cds })).await;
        assert_eq!(delivered, Answered::Yes);
    }

    /// A customer orders.
    pub async fn place(&self, order: &PlaceOrder) -> Answered {
        self.send("orders", "/v1/orders", &format!("place-{}", order.order), order).await
    }

    /// Posts something.
    pub async fn send(&self, service: &str, path: &str, key: &str, body: &impl Serialize) -> Answered {
        let client = self.fleet.client(service);
        ask(client, client.post(path).idempotency_key(key).json(body)).await.unwrap()
    }

    /// Asks for something.
    pub async fn read<T: DeserializeOwned>(&self, service: &str, path: &str) -> T {
        read(self.fleet.client(service), path).await.unwrap()
    }

    /// Waits until an order is shipped or cancelled, and says how it stands.
    pub async fn ended(&self, order: u64) -> OrderStatus {
        until("the order to end", async || {
            let status = read::<OrderStatus>(self.fleet.client("orders"), &format!("/v1/orders/{order}")).await.ok();
            status.filter(|status| ["shipped", "cancelled"].contains(&status.status.as_str()))
        })
        .await
    }

    /// Ends everything in order.
    pub async fn stop(self) {
        self.fleet.stop().await.unwrap();
    }
}

/// An order of the first customer.
pub fn order(number: u64, cds: u32, total_cents: u64) -> PlaceOrder {
    let customer = Customer::from_number(1).unwrap();
    PlaceOrder { order: OrderId(number), customer, date: parse_date("1997-01-31").unwrap(), cds, total_cents }
}

/// Waits until there is something.
pub async fn until<T: Debug>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = timeout(PATIENCE, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            sleep(Duration::from_millis(10)).await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}
