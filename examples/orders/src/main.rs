//! The program: `orders import`, `orders rebuild`, `orders report`, `orders fulfil`; and `orders serve`, for each service.

use std::{
    error::Error,
    fmt::Write as _,
    fs,
    io::{self, IsTerminal, Write},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, SystemTime},
};

use clap::{Parser, Subcommand, ValueEnum};
use orders::{
    run::{self, Ended},
    services::{self, Serve},
    shop::Nats,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tracing_subscriber::EnvFilter;

const EXIT_CODES: &str = "Exit codes: 0 all done; 1 failed; 2 wrong usage; 3 done, but some rows are bad; \
    4 done, but events still wait for the broker; 130 interrupted.";

/// A record shop's orders through an event store.
#[derive(Parser)]
#[command(after_help = EXIT_CODES)]
struct Args {
    /// Where the state lies: the store, the read models, the NATS server's streams, summary.json
    #[arg(long, global = true, default_value = "target/run")]
    dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Job(Job),
    /// What the services are made of together, and who speaks to whom, as a document
    Architecture,
    /// What each service may do at the broker: the accounts of nats-server's configuration
    Permissions,
    /// Be one of the services of the shop
    #[command(subcommand)]
    Serve(Serve),
}

#[derive(Subcommand)]
enum Job {
    /// Import a file of orders; what was imported before is not imported again
    Import {
        /// A CSV file, gzipped or not, with the columns customer,date,cds,dollars [default: the bundled file]
        #[arg(long)]
        file: Option<PathBuf>,
        /// How many rows are imported at the same time
        #[arg(long, default_value = "512")]
        in_flight: NonZeroUsize,
        /// The NATS server to publish to [default: one of our own]
        #[arg(long, env = "NATS_URL", hide_env_values = true)]
        nats_url: Option<String>,
        /// `off`: publish nothing, the events wait
        #[arg(long, env = "NATS", default_value = "on")]
        nats: Switch,
    },
    /// Drop the read models and replay them from the log
    Rebuild,
    /// Show what the read models say
    Report,
    /// Carry orders of the bundled file through stock, payment and shipment, in a store of their own
    Fulfil {
        /// How many
        #[arg(long, default_value = "1000")]
        orders: usize,
    },
    /// The same while services and broker are killed at random, and the provider is slow, failing or down
    Chaos {
        /// How many orders
        #[arg(long, default_value = "5000")]
        orders: usize,
        /// For how long
        #[arg(long, default_value = "120")]
        seconds: u64,
        /// By which it goes wrong in the same order again [default: another one each time]
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Follow one request through all services
    Trace {
        /// Its correlation id: the header x-correlation-id of the request, or of its answer
        correlation_id: String,
        /// Where the services are
        #[arg(
            long,
            value_delimiter = ',',
            default_value = "http://127.0.0.1:8081,http://127.0.0.1:8082,http://127.0.0.1:8083,http://127.0.0.1:8084,http://127.0.0.1:8085"
        )]
        at: Vec<String>,
    },
    /// Start all services and a broker, and send orders of the bundled file through them
    Services {
        /// How many
        #[arg(long, default_value = "1000000")]
        orders: usize,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Args { dir, command } = Args::parse();
    let ended = match command {
        Command::Architecture => print_architecture(&dir).await,
        Command::Permissions => print_permissions(),
        Command::Serve(service) => service.run(&dir).await.map(|()| Ended::Done),
        Command::Job(job) => run_job(&dir, job).await,
    };
    match ended {
        Ok(Ended::Done) => ExitCode::SUCCESS,
        Ok(Ended::BadRows) => ExitCode::from(3),
        Ok(Ended::EventsWait) => ExitCode::from(4),
        Ok(Ended::Interrupted) => ExitCode::from(130),
        Err(error) => {
            let mut text = format!("error: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                _ = write!(text, ": {cause}");
                source = cause.source();
            }
            _ = writeln!(io::stderr(), "{text}");
            ExitCode::FAILURE
        }
    }
}

async fn print_architecture(dir: &Path) -> Result<Ended, Box<dyn Error>> {
    // A view that is only described is opened all the same.
    let views = dir.join("architecture");
    let architecture = services::architecture(&views).await?;
    fs::remove_dir_all(&views)?;
    let told = architecture.document(services::TITLE).map_err(|flaws| {
        let flaws: Vec<_> = flaws.iter().map(ToString::to_string).collect();
        format!("the services must not be put together so:\n{}", flaws.join("\n"))
    })?;
    io::stdout().write_all(told.as_bytes())?;
    Ok(Ended::Done)
}

fn print_permissions() -> Result<Ended, Box<dyn Error>> {
    io::stdout().write_all(services::permissions()?.as_bytes())?;
    Ok(Ended::Done)
}

async fn run_job(dir: &Path, job: Job) -> Result<Ended, Box<dyn Error>> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colours).init();
    let stop = listen()?;
    match job {
        Job::Import { file, in_flight, nats_url, nats } => {
            let nats = match (nats, nats_url.filter(|url| !url.is_empty())) {
                (Switch::Off, _) => Nats::Off,
                (Switch::On, Some(url)) => Nats::At(url),
                (Switch::On, None) => Nats::Local,
            };
            run::import_file(dir, file, in_flight, nats, stop).await
        }
        Job::Rebuild => run::rebuild(dir, stop).await,
        Job::Report => run::report(dir).await,
        Job::Fulfil { orders } => run::fulfil(dir, orders).await,
        Job::Chaos { orders, seconds, seed } => {
            let by_the_clock = || u64::from(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().subsec_nanos());
            run::chaos(dir, orders, Duration::from_secs(seconds), seed.unwrap_or_else(by_the_clock)).await
        }
        Job::Trace { correlation_id, at } => run::trace(&at, &correlation_id).await,
        Job::Services { orders } => run::services(dir, orders, stop).await,
    }
}

/// Watches for Ctrl-C and SIGTERM. The first asks to finish what is in flight; the second ends the program at once,
/// which harms nothing.
fn listen() -> Result<watch::Receiver<bool>, Box<dyn Error>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        either(&mut interrupt, &mut terminate).await;
        _ = writeln!(io::stderr(), "finishing what is in flight; once more to stop at once");
        stop.send_replace(true);
        either(&mut interrupt, &mut terminate).await;
        // Without the destructors of C++, which the store's threads may still depend on.
        signal_hook::low_level::exit(130);
    });
    Ok(stopped)
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
