//! Everything that can go wrong, at random, while orders come in; and what must hold at the end.

use std::{collections::BTreeMap, fmt, time::Duration};

use annalist::inbox::DeadLetters;
use annalist_nats::JetstreamConsumer;
use annalist_service::outbound::OutboundClient;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, sleep};

use super::{
    ALL, Fleet, FleetBooks, FleetError, Setup,
    client::{ask, find},
    load::{deliver, place_all, settled},
};
use crate::{
    contracts::streams,
    progress::Progress,
    rows::Row,
    services::{
        inventory::{self, Reservation},
        orders::{self, OrderStatus},
        payments::{self, PaymentStatus},
        provider::{self, Mood},
        shipping::{self, ShipmentStatus},
    },
};

/// Of what is ordered so much is delivered, in percent.
const DELIVERED_PERCENT: u64 = 85;
/// The longest pause between two blows, and the longest that something stays away.
const PAUSE_MAX: Duration = Duration::from_millis(1_200);
/// Orders that are looked at, at the same time.
const LOOKED_AT: usize = 32;
/// Every inbox: whose it is, its name, what it consumes.
const INBOXES: [(&str, &str, &str); 6] = [
    (inventory::NAME, "inventory-orders", streams::ORDERS),
    (payments::NAME, "payments-orders", streams::ORDERS),
    (shipping::NAME, "shipping-orders", streams::ORDERS),
    (orders::NAME, "orders-inventory", streams::INVENTORY),
    (orders::NAME, "orders-payments", streams::PAYMENTS),
    (orders::NAME, "orders-shipping", streams::SHIPPING),
];

/// What was done to the fleet, and what came of it.
#[derive(Clone, Debug)]
pub struct Survived {
    /// Blows, by what they were.
    pub blows: BTreeMap<String, u64>,
    /// What the services say at the end.
    pub books: FleetBooks,
    /// What does not hold; nothing when all is well.
    pub wrong: Vec<String>,
}

/// Places the orders while services and broker are killed and started again, and the provider is slow, failing or down, for as
/// long as `lasting`; then lets everything come to rest, and looks at the books and at each order.
///
/// # Errors
/// [`FleetError`] when the fleet does not come back.
pub async fn chaos(
    setup: &Setup,
    rows: &[Row],
    lasting: Duration,
    seed: u64,
    progress: &mut Progress,
) -> Result<Survived, FleetError> {
    let mut fleet = Fleet::start(setup).await?;
    deliver(&fleet, rows, DELIVERED_PERCENT).await?;
    let client = fleet.client(orders::NAME).clone();
    let (placed, beaten) = tokio::join!(place_all(&client, rows, lasting, progress), beat(&mut fleet, lasting, seed));
    let blows = beaten?;
    placed?;
    let books = settled(&fleet).await?;
    let mut wrong = books.differences();
    let looked = stream::iter(rows).map(|row| look(&fleet, row)).buffer_unordered(LOOKED_AT);
    wrong.extend(looked.try_collect::<Vec<_>>().await?.into_iter().flatten());
    for (service, inbox, stream) in INBOXES {
        let letters = JetstreamConsumer::at(fleet.nats_url()).stream(stream).context(service).dead_letters(inbox);
        match letters.list(0, 10).await {
            Ok(letters) => wrong.extend(letters.iter().map(|letter| format!("{inbox} has a dead letter: {letter:?}"))),
            Err(error) => wrong.push(format!("the dead letters of {inbox} cannot be read: {error}")),
        }
    }
    fleet.stop().await?;
    Ok(Survived { blows, books, wrong })
}

/// Strikes for a while, then mends everything.
async fn beat(fleet: &mut Fleet, lasting: Duration, seed: u64) -> Result<BTreeMap<String, u64>, FleetError> {
    let mut random = Random(seed | 1);
    let mut blows = BTreeMap::new();
    let until = Instant::now() + lasting;
    while Instant::now() < until {
        let blow = Blow::any(&mut random);
        *blows.entry(blow.to_string()).or_default() += 1;
        let away = random.pause();
        match blow {
            Blow::Kill(name) => {
                fleet.kill(name).await;
                sleep(away).await;
                fleet.start_service(name)?;
            }
            Blow::KillBroker => {
                fleet.kill_broker().await;
                sleep(away).await;
                fleet.start_broker().await?;
            }
            Blow::End(name) => {
                // Before it is ready it does not listen yet to what it is told.
                fleet.ready(name).await?;
                fleet.end(name).await?;
                fleet.start_service(name)?;
            }
            // It may have just been killed; then it is well again when it comes back.
            Blow::Mood(mood) => _ = become_(fleet.client(provider::NAME), mood).await,
        }
        sleep(random.pause()).await;
    }
    for name in ALL {
        fleet.start_service(name)?;
        fleet.ready(name).await?;
    }
    become_(fleet.client(provider::NAME), Mood::Well).await?;
    Ok(blows)
}

async fn become_(client: &OutboundClient, mood: Mood) -> Result<(), FleetError> {
    ask(client, client.call(axum::http::Method::PUT, "/v1/mood").json(&mood)).await.map(|_| ())
}

/// What is wrong with an order: it is shipped, and everybody has done their part once, or nobody keeps anything of it.
async fn look(fleet: &Fleet, row: &Row) -> Result<Vec<String>, FleetError> {
    let order = row.order;
    let at = |name, path: &str| (fleet.client(name), format!("/v1/{path}/{order}"));
    let (client, path) = at(orders::NAME, "orders");
    let status = find::<OrderStatus>(client, &path).await?;
    let (client, path) = at(inventory::NAME, "reservations");
    let reserved = find::<Reservation>(client, &path).await?.map(|reservation| reservation.cds);
    let (client, path) = at(payments::NAME, "payments");
    let charged = match find::<PaymentStatus>(client, &path).await? {
        Some(PaymentStatus::Charged { cents }) => Some(cents),
        _ => None,
    };
    let (client, path) = at(shipping::NAME, "shipments");
    let parcel = match find::<ShipmentStatus>(client, &path).await? {
        Some(ShipmentStatus::Scheduled { cds }) => Some(cds),
        _ => None,
    };
    let found = (reserved, charged, parcel);
    let due = (row.dollars.0 > 0).then_some(row.dollars.0);
    let expected = match status.as_ref().map(|status| status.status.as_str()) {
        Some("shipped") => (Some(row.cds), due, Some(row.cds)),
        Some("cancelled") => (None, None, None),
        _ => return Ok(vec![format!("order {order} has not ended: {status:?}")]),
    };
    if found == expected {
        Ok(vec![])
    } else {
        Ok(vec![format!("order {order}: {found:?}, not {expected:?}; {status:?}")])
    }
}

/// Something that goes wrong.
enum Blow {
    Kill(&'static str),
    KillBroker,
    End(&'static str),
    Mood(Mood),
}

impl Blow {
    fn any(random: &mut Random) -> Self {
        match random.below(10) {
            0..5 => Self::Kill(random.service()),
            5 | 6 => Self::KillBroker,
            7 => Self::End(random.service()),
            _ => Self::Mood(random.mood()),
        }
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(name) => write!(f, "{name} killed"),
            Self::KillBroker => f.write_str("broker killed"),
            Self::End(name) => write!(f, "{name} ended"),
            Self::Mood(mood) => write!(f, "provider {}", format!("{mood:?}").to_lowercase()),
        }
    }
}

/// Numbers that are the same for the same seed (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 33) % u64::try_from(bound.max(1)).unwrap_or(1)).unwrap_or_default()
    }

    fn service(&mut self) -> &'static str {
        ALL.get(self.below(ALL.len())).copied().unwrap_or(provider::NAME)
    }

    fn mood(&mut self) -> Mood {
        match self.below(4) {
            0 => Mood::Slow,
            1 => Mood::Failing,
            2 => Mood::Down,
            _ => Mood::Well,
        }
    }

    fn pause(&mut self) -> Duration {
        PAUSE_MAX.mul_f64(f64::from(u32::try_from(self.below(1_000)).unwrap_or_default()) / 1_000.0)
    }
}
