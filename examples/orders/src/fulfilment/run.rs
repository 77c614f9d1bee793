//! `orders fulfil`: places orders of the file and waits until each is fulfilled, or not.

use std::{collections::BTreeMap, error::Error, time::Duration};

use annalist::{
    App, AppBuilder, ExecuteError, Store,
    workflow::{WorkflowHandle, WorkflowState},
};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    books::{BOOKS, Balance, Books},
    payment::{Charge, Payment},
    shipment::{Schedule, Shipment},
    stock::{Deliver, Reserve, Shelf, Stock},
    workflow::Fulfilment,
};
use crate::{
    domain::{Order, Place},
    rows::Row,
};

/// How many orders are under way at the same time.
const IN_FLIGHT: usize = 128;

/// How long an order may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Of what is ordered, so much is delivered, in percent: some customers are told that there is nothing left.
const DELIVERED_PERCENT: u64 = 85;

/// What became of the orders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fulfilled {
    /// Orders that are paid and shipped.
    pub fulfilled: u64,
    /// Orders that are not: nothing of them is left but the order.
    pub compensated: u64,
    /// Why those are not: at which step, and how many.
    pub turned_back_at: BTreeMap<String, u64>,
    /// Orders that a person must look at.
    pub waiting: u64,
    /// What the books say.
    pub books: Balance,
}

/// The books do not add up.
#[derive(Debug, thiserror::Error)]
#[error("the books do not add up: {0:?}")]
pub struct Unbalanced(pub Balance);

/// What the shop consists of that fulfils orders; `docs/fulfilment.md` shows it.
pub fn wiring(store: Store) -> AppBuilder {
    App::open(store)
        .command::<Order, Place>()
        .command::<Stock, Deliver>()
        .command::<Stock, Reserve>()
        .command::<Payment, Charge>()
        .command::<Shipment, Schedule>()
        .workflow::<Fulfilment>()
        .projection(Books)
}

/// Places these orders, each once, and waits until all have ended. What was done before is not done again.
///
/// # Errors
/// When the store fails, an order takes too long, or the books do not add up.
pub async fn fulfil(app: &App, rows: &[Row]) -> Result<Fulfilled, Box<dyn Error>> {
    deliver(app, rows).await?;
    let workflow = &app.workflow::<Fulfilment>()?;
    let ends = stream::iter(rows).map(|row| fulfil_one(app, workflow, *row)).buffer_unordered(IN_FLIGHT);
    let mut fulfilled = Fulfilled::default();
    let mut ends = std::pin::pin!(ends);
    while let Some(end) = ends.try_next().await? {
        match end {
            End::Fulfilled => fulfilled.fulfilled += 1,
            End::TurnedBackAt(step) => {
                fulfilled.compensated += 1;
                *fulfilled.turned_back_at.entry(step).or_default() += 1;
            }
            End::Waiting => fulfilled.waiting += 1,
        }
    }
    let books = app.view::<Books>()?.after(app.head().await?).get(&BOOKS, &()).await?.unwrap_or_default();
    if fulfilled.waiting == 0 && !books.adds_up() {
        return Err(Unbalanced(books).into());
    }
    Ok(Fulfilled { books, ..fulfilled })
}

/// Fills the shelves, not quite enough for what is ordered; once for each number of orders.
async fn deliver(app: &App, rows: &[Row]) -> Result<(), Box<dyn Error>> {
    let mut ordered = BTreeMap::<Shelf, u64>::new();
    for row in rows {
        *ordered.entry(Shelf::of(row.order)).or_default() += u64::from(row.cds);
    }
    for (shelf, cds) in ordered {
        let deliver = Deliver { cds: cds * DELIVERED_PERCENT / 100 };
        app.on::<Stock>(shelf).execute(deliver).key(format!("delivery-{}/{shelf}", rows.len())).await?;
    }
    Ok(())
}

/// How an order ended.
enum End {
    Fulfilled,
    TurnedBackAt(String),
    Waiting,
}

async fn fulfil_one(app: &App, workflow: &WorkflowHandle<Fulfilment>, row: Row) -> Result<End, Box<dyn Error>> {
    let Row { order, customer, date, cds, dollars: total } = row;
    let place = Place { customer, date, cds, total };
    match app.on::<Order>(order).execute(place).key(format!("row-{order}/place")).await {
        Ok(_) => {}
        Err(ExecuteError::Rejected(rejected)) => return Ok(End::TurnedBackAt(rejected.to_string())),
        Err(ExecuteError::Failed(error)) => return Err(error.into()),
    }
    let ended = workflow.ended(&order.to_string(), PATIENCE).await?;
    Ok(match ended.state {
        WorkflowState::Done => End::Fulfilled,
        WorkflowState::Compensated => {
            // The step that failed is the last that it went through.
            End::TurnedBackAt(ended.steps.last().map(|(step, _)| step.clone()).unwrap_or_default())
        }
        WorkflowState::Waiting { .. } => End::Waiting,
        state => return Err(format!("the order {order} has ended, but is {state:?}").into()),
    })
}
