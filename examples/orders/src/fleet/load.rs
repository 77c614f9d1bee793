//! Orders through HTTP, many at a time, until each has ended.

use std::time::Duration;

use annalist_service::outbound::OutboundClient;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{
    Answered, Fleet, FleetBooks, FleetError,
    client::{as_request, ask, read},
};
use crate::{
    domain::OrderId,
    fulfilment::Shelf,
    progress::Progress,
    rows::Row,
    services::{
        inventory,
        orders::{OrdersTotals, PlaceOrder},
    },
};

/// Requests under way at the same time.
const IN_FLIGHT: usize = 256;
/// Orders that have not ended, at most: they wait for each other, and none is to wait so long that it is given up.
const OPEN_MAX: u64 = 1_500;
/// How often one asks how far it is.
const POLL: Duration = Duration::from_millis(250);
/// How long a call is tried again when a service is away.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long nothing may change at the end before it is over, whatever the books say.
const SETTLE_MAX: Duration = Duration::from_mins(1);

/// Fills the shelves with so many percent of what is ordered, once.
///
/// # Errors
/// [`FleetError`] when inventory does not take it.
pub async fn deliver(fleet: &Fleet, rows: &[Row], percent: u64) -> Result<(), FleetError> {
    let client = fleet.client(inventory::NAME);
    for shelf in 0..Shelf::COUNT {
        let of_shelf = rows.iter().filter(|row| Shelf::of(row.order) == Shelf(shelf));
        let cds = of_shelf.map(|row| u64::from(row.cds)).sum::<u64>() * percent / 100;
        let (path, key) = (format!("/v1/shelves/{shelf}/deliveries"), format!("delivery-{}/{shelf}", rows.len()));
        persistently(async || ask(client, client.post(&path).idempotency_key(&key).json(&json!({ "cds": cds }))).await)
            .await?;
    }
    Ok(())
}

/// Places all orders, the oldest first, spread `over` so much time, and waits until each is shipped or cancelled. What was
/// placed before is not placed again.
///
/// # Errors
/// [`FleetError`] when a service is away for too long.
pub async fn place_all(
    client: &OutboundClient,
    rows: &[Row],
    over: Duration,
    progress: &mut Progress,
) -> Result<(), FleetError> {
    let begun = Instant::now();
    let each = over / u32::try_from(rows.len().max(1)).unwrap_or(u32::MAX);
    // The file has them customer by customer; nobody orders for years at once.
    let mut rows: Vec<_> = rows.iter().collect();
    rows.sort_by_key(|row| (row.date, row.order));
    let (ended, watch_ended) = watch::channel(0);
    let placing = async {
        let all = stream::iter((0_u32..).zip(&rows)).map(|(before, row)| {
            let watch_ended = watch_ended.clone();
            async move {
                sleep_until(begun + each * before).await;
                place_in_turn(client, row, before.into(), watch_ended).await
            }
        });
        all.buffer_unordered(IN_FLIGHT).try_collect::<Vec<_>>().await.map(|_| ())
    };
    let total = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    let watching = async {
        let mut last = (0, Instant::now());
        loop {
            // It may be away for a while; whoever places orders notices when it is for too long.
            if let Ok(totals) = read::<OrdersTotals>(client, "/v1/totals").await {
                let now = totals.shipped + totals.cancelled;
                if now != last.0 {
                    last = (now, Instant::now());
                }
                ended.send_replace(now);
                progress.done(now);
                if now >= total {
                    return;
                }
            }
            if last.1.elapsed() > PATIENCE {
                // Nobody is to wait for what will not come.
                ended.send_replace(u64::MAX - OPEN_MAX);
                return;
            }
            sleep(POLL).await;
        }
    };
    let ((), placed) = tokio::join!(watching, placing);
    placed
}

/// Waits until not too many orders are under way, and places one.
async fn place_in_turn(
    client: &OutboundClient,
    row: &Row,
    before: u64,
    mut ended: watch::Receiver<u64>,
) -> Result<Answered, FleetError> {
    // An error says that nobody watches any more.
    _ = ended.wait_for(|ended| before < ended + OPEN_MAX).await;
    let &Row { order, customer, date, cds, dollars } = row;
    let place = PlaceOrder { order, customer, date, cds, total_cents: dollars.0 };
    persistently(async || send(client, order, &place).await).await
}

async fn send(client: &OutboundClient, order: OrderId, place: &PlaceOrder) -> Result<Answered, FleetError> {
    let call = client.post("/v1/orders").idempotency_key(format!("place-{order}"));
    as_request(&format!("order-{order}"), ask(client, call.json(place))).await
}

/// Tries again while a service is away: it, or the broker, may be about to be started.
async fn persistently<T>(call: impl AsyncFn() -> Result<T, FleetError>) -> Result<T, FleetError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match call().await {
            Err(_) if Instant::now() < until => sleep(POLL).await,
            done => return done,
        }
    }
}

/// Waits until the books add up; gives them as they are when nothing changes any more.
///
/// # Errors
/// [`FleetError`] when a service does not answer.
pub async fn settled(fleet: &Fleet) -> Result<FleetBooks, FleetError> {
    let mut books = FleetBooks::read(fleet).await?;
    let mut since = Instant::now();
    while !books.differences().is_empty() && since.elapsed() < SETTLE_MAX {
        sleep(POLL).await;
        let now = FleetBooks::read(fleet).await?;
        if now != books {
            (books, since) = (now, Instant::now());
        }
    }
    Ok(books)
}
