//! `command`: commands per second through decision, durable append and view, and sagas, beside the same appends without the
//! framework.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use annalist::{
    App, Append, CommandOptions, EventId, EventStore, Events as _, Expected, SnapshotPolicy, Store, StreamId, Version,
    projection::ViewHandle, workflow::WorkflowState,
};
use benches::{
    Account, AccountEvent, BALANCES, Balances, Deposit, Failure, Forward, Settings, Table, Walk, count,
    describe_machine, millis, processor_time, run_clients, runtime,
};
use hdrhistogram::Histogram;

const IN_FLIGHT: [u64; 2] = [16, 256];

/// More than there are accounts.
const CACHED: u32 = 10_000;

/// How long a client waits for a saga.
const PATIENCE: Duration = Duration::from_mins(1);

/// Fills the payload, an object with a number and this, up to 256 bytes.
const TEXT_BYTES: usize = 230;

/// What a client does again and again.
#[derive(Clone, Copy, Debug)]
enum Row {
    /// Appends to streams of so many events each, without the framework.
    Bare(u64),
    /// Commands to accounts of up to so many events each, then to others.
    Fresh(u64),
    /// Commands to one account that had so many events before.
    Deep(u64, Kept),
    /// Commands to accounts of ten events each, waiting each time until the view shows it.
    Seen,
    /// Commands that begin a saga of one command each, waiting each time until it is completed.
    Saga,
    /// Commands that begin a workflow of three steps, waiting each time until it is at its end: done, or undone.
    Workflow(Comes),
}

/// How a workflow ends.
#[derive(Clone, Copy, Debug)]
enum Comes {
    Through,
    Back,
}

/// What is kept of an account between commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kept {
    Nothing,
    Snapshots,
    /// The account itself, in memory.
    Account,
}

const ROWS: [Row; 12] = [
    Row::Bare(10),
    Row::Fresh(10),
    Row::Seen,
    Row::Deep(10, Kept::Nothing),
    Row::Deep(1000, Kept::Nothing),
    Row::Deep(10, Kept::Snapshots),
    Row::Deep(1000, Kept::Snapshots),
    Row::Deep(10, Kept::Account),
    Row::Deep(1000, Kept::Account),
    Row::Saga,
    Row::Workflow(Comes::Through),
    Row::Workflow(Comes::Back),
];

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bare(events) => write!(f, "bare appends, {events} deep"),
            Self::Fresh(events) => write!(f, "new accounts, {events} deep"),
            Self::Deep(events, Kept::Nothing) => write!(f, "one account each, {events} deep"),
            Self::Deep(events, Kept::Snapshots) => write!(f, "snapshots, {events} deep"),
            Self::Deep(events, Kept::Account) => write!(f, "hot, {events} deep"),
            Self::Seen => write!(f, "new accounts, seen in the view"),
            Self::Saga => write!(f, "sagas of one command, to the end"),
            Self::Workflow(Comes::Through) => write!(f, "workflows of three steps, done"),
            Self::Workflow(_) => write!(f, "workflows undone at the third"),
        }
    }
}

#[expect(clippy::print_stdout, reason = "a bench talks to a person")]
fn main() -> Result<(), Failure> {
    let settings = Settings::from_env()?;
    println!("\nmachine: {}\n", describe_machine(settings.folder("command")?.path()));
    let table =
        Table::new(&["command", "in flight", "commands/s", "p50 ms", "p99 ms", "p99.9 ms", "CPU µs each", "bare ×"]);
    for in_flight in IN_FLIGHT {
        let mut bare = f64::NAN;
        for row in ROWS.into_iter().filter(|row| settings.wants(&row.to_string())) {
            let (latency_us, cpu_us) = measure(&settings, row, in_flight)?;
            #[expect(clippy::cast_precision_loss, reason = "figures for people")]
            let per_second = latency_us.len() as f64 / settings.duration.as_secs_f64();
            if matches!(row, Row::Bare(_)) {
                bare = per_second;
            }
            let at = |quantile| millis(latency_us.value_at_quantile(quantile));
            let ratio = per_second / bare;
            table.row(&[
                row.to_string(),
                in_flight.to_string(),
                count(per_second),
                at(0.5),
                at(0.99),
                at(0.999),
                count(cpu_us),
                if ratio.is_finite() { format!("{ratio:.2}") } else { "–".to_owned() },
            ]);
        }
    }
    println!("\nCPU: of the whole process, clients, store and index included.");
    Ok(())
}

/// One row in a store of its own: latencies, and the processor time for each command, both in microseconds.
fn measure(settings: &Settings, row: Row, in_flight: u64) -> Result<(Histogram<u64>, f64), Failure> {
    let folder = settings.folder(&format!("command-{in_flight}"))?;
    let runtime = runtime()?;
    runtime.block_on(async {
        let store = Store::embedded(folder.path())?;
        let events = Arc::clone(store.events());
        let mut app = App::open(store);
        if matches!(row, Row::Seen) {
            app = app.projection(Balances);
        }
        if matches!(row, Row::Saga) {
            app = app.saga::<Forward>();
        }
        if matches!(row, Row::Workflow(_)) {
            app = app.workflow::<Walk>();
        }
        match row {
            Row::Deep(_, Kept::Snapshots) => app = app.snapshots::<Account>(SnapshotPolicy::every(100)),
            Row::Deep(_, Kept::Account) => {
                let mut options = CommandOptions::default();
                options.cached_aggregates_max = CACHED;
                app = app.command_options(options);
            }
            _ => {}
        }
        let app = app.start().await?;
        if let Row::Deep(depth, _) = row {
            deepen(&events, in_flight, depth).await?;
        }
        let clients = (0..in_flight).map(|client| Client::new(client, row, &app, &events)).collect();
        let before = processor_time()?;
        let begin = Instant::now();
        let latency_us = run_clients(clients, Client::act, settings.duration / 10, settings.duration).await?;
        let (busy, lasted) = (processor_time()?.saturating_sub(before), begin.elapsed());
        app.shutdown().await?;
        // The warm-up is in both spans.
        let measured = busy.as_secs_f64() * settings.duration.as_secs_f64() / lasted.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let each = measured / latency_us.len() as f64 * 1e6;
        Ok((latency_us, each))
    })
}

/// Gives every client's account so many events.
async fn deepen(store: &Arc<dyn EventStore>, accounts: u64, depth: u64) -> Result<(), Failure> {
    for account in 0..accounts {
        let events = (0..depth).map(|_| event()).collect::<Result<Vec<_>, _>>()?;
        let stream = StreamId::of("account", account)?;
        store.append(Append::new().events(stream, Expected::NoStream, events)).await?;
    }
    Ok(())
}

fn event() -> Result<annalist::NewEvent, Failure> {
    let deposited = AccountEvent::Deposited { cents: 1, text: "x".repeat(TEXT_BYTES) };
    Ok(deposited.write()?.with_id(EventId::generate()))
}

/// One of those who act at the same time.
struct Client {
    number: u64,
    acts: u64,
    row: Row,
    app: App,
    events: Arc<dyn EventStore>,
}

impl Client {
    fn new(number: u64, row: Row, app: &App, events: &Arc<dyn EventStore>) -> Self {
        Self { number, acts: 0, row, app: app.clone(), events: Arc::clone(events) }
    }

    async fn act(mut self) -> Result<Self, Failure> {
        let act = self.acts;
        self.acts += 1;
        match self.row {
            Row::Bare(depth) => {
                let stream = StreamId::of("account", format!("{}-{}", self.number, act / depth))?;
                let expected = Expected::Exact(Version::new(act % depth));
                self.events.append(Append::new().events(stream, expected, vec![event()?])).await?;
            }
            Row::Fresh(depth) => {
                self.deposit(format!("{}-{}", self.number, act / depth)).await?;
            }
            Row::Deep(..) => {
                self.deposit(self.number.to_string()).await?;
            }
            Row::Saga => {
                let account = format!("from-{}-{act}", self.number);
                self.deposit(account.clone()).await?;
                self.app.saga::<Forward>()?.ended(&account, PATIENCE).await?;
            }
            Row::Workflow(comes) => {
                let (way, state) = match comes {
                    Comes::Through => ("walk", WorkflowState::Done),
                    Comes::Back => ("back", WorkflowState::Compensated),
                };
                let account = format!("{way}-{}-{act}", self.number);
                self.deposit(account.clone()).await?;
                let ended = self.app.workflow::<Walk>()?.ended(&account, PATIENCE).await?.state;
                if ended != state {
                    return Err(format!("a workflow that was to be {state:?} is {ended:?}").into());
                }
            }
            Row::Seen => {
                let account = format!("{}-{}", self.number, act / 10);
                let cursor = self.deposit(account.clone()).await?;
                let view: ViewHandle = self.app.view::<Balances>()?.after(cursor);
                view.get(&BALANCES, &account).await?.ok_or("the view has not seen a deposit that it waited for")?;
            }
        }
        Ok(self)
    }

    async fn deposit(&self, account: String) -> Result<annalist::Cursor, Failure> {
        let deposit = Deposit { cents: 1, text: "x".repeat(TEXT_BYTES) };
        let receipt = self.app.on::<Account>(account).execute(deposit).await?;
        Ok(receipt.cursor)
    }
}
