//! `orders services`: the orders of the file through HTTP, and what all services say at the end; and `orders chaos`, where
//! things go wrong meanwhile.

use std::{
    error::Error,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    domain::Cents,
    fleet::{self, Fleet, FleetBooks, Setup, Survived},
    fulfilment::{CARD_MAX, PARCEL_CDS_MAX},
    progress::Progress,
    report::{dollars, grouped, per_second, table},
    rows::Row,
    services::orders,
};

/// Starts everything, places the orders, waits until each is shipped, and tells what the four services say; `None` when it
/// was stopped before.
///
/// # Errors
/// Whatever does not start or answer, or that the books do not add up.
pub async fn run_services(
    dir: &Path,
    rows: &[Row],
    stop: impl Future<Output = ()>,
) -> Result<Option<String>, Box<dyn Error>> {
    let begun = Instant::now();
    // Every order of the file was shipped: nothing is too dear or too large.
    let setup = Setup {
        dir: dir.join("services"),
        program: std::env::current_exe()?,
        card_max: Cents(u64::MAX / 100),
        parcel_max: u32::MAX,
    };
    let fleet = Fleet::start(&setup).await?;
    let total = u64::try_from(rows.len())?;
    let mut progress = Progress::begin("orders", 0, total);
    progress.say(&format!("four services, the provider and the broker run; {} orders", grouped(total)));
    let placed = async {
        fleet::deliver(&fleet, rows, 100).await?;
        fleet::place_all(fleet.client(orders::NAME), rows, Duration::ZERO, &mut progress).await?;
        fleet::settled(&fleet).await
    };
    let placed = tokio::select! {
        biased;
        () = stop => None,
        placed = placed => Some(placed),
    };
    progress.end();
    let took = begun.elapsed();
    // Whatever came of it, the processes end in order.
    let stopped = fleet.stop().await;
    let Some(books) = placed.transpose()? else { return Ok(None) };
    stopped?;
    let told = table_of(&books);
    let differences = books.differences();
    if !differences.is_empty() {
        return Err(format!("{told}\nthe books do not add up:\n{}", differences.join("\n")).into());
    }
    let rate = per_second(total, took);
    Ok(Some(format!("{told}\nthe four services say the same; {:.1} s, {rate} orders/s", took.as_secs_f64())))
}

/// Places the orders while things go wrong at random, and tells what came of it.
///
/// # Errors
/// Whatever does not come back, or does not hold.
pub async fn run_chaos(dir: &Path, rows: &[Row], lasting: Duration, seed: u64) -> Result<String, Box<dyn Error>> {
    let dir = dir.join("chaos");
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    let setup = Setup { dir, program: std::env::current_exe()?, card_max: CARD_MAX, parcel_max: PARCEL_CDS_MAX };
    let mut progress = Progress::begin("orders", 0, u64::try_from(rows.len())?);
    progress.say(&format!("chaos for {} s; the seed is {seed}", lasting.as_secs()));
    let survived = fleet::chaos(&setup, rows, lasting, seed, &mut progress).await;
    progress.end();
    let Survived { blows, books, wrong } = survived?;
    let blows: Vec<_> = blows.iter().map(|(blow, times)| format!("{blow} {times} times")).collect();
    let told = format!("{}\n{}", table_of(&books), blows.join(", "));
    if !wrong.is_empty() {
        return Err(format!("{told}\nthis does not hold, with the seed {seed}:\n{}", wrong.join("\n")).into());
    }
    Ok(format!("{told}\nevery order is shipped or undone, money, stock and parcels add up, nothing was done twice"))
}

fn table_of(books: &FleetBooks) -> String {
    let FleetBooks { orders, inventory, payments, provider, shipping } = books;
    let mut table = table(["what each says", "orders", "CDs", "dollars"]);
    let money = |cents| dollars(Cents(cents));
    let none = String::new;
    for (name, count, cds, cents) in [
        ("orders: shipped", orders.shipped, grouped(orders.shipped_cds), money(orders.shipped_cents)),
        ("inventory: set aside", inventory.reserved_orders, grouped(inventory.reserved_cds), none()),
        ("payments: charged", payments.charged, none(), money(payments.charged_cents)),
        ("the provider: charged", provider.charged, none(), money(provider.charged_cents)),
        ("shipping: in parcels", shipping.parcels, grouped(shipping.cds), none()),
    ] {
        table.add_row([name.to_owned(), grouped(count), cds, cents]);
    }
    let free = orders.shipped - payments.charged.min(orders.shipped);
    format!(
        "{table}\n{} orders are shipped, {} cancelled; {free} cost nothing",
        grouped(orders.shipped),
        orders.cancelled
    )
}
