//! The whole shop as processes on this machine: the broker, the four services and the provider, to be started, spoken to,
//! killed and started again.

mod broker;
mod client;
mod process;

mod books;
mod load;

mod chaos;
mod run;
mod trace;

use std::{
    io,
    net::TcpListener,
    path::{Path, PathBuf},
};

use annalist_service::outbound::{BuildError, CallError, Clients, OutboundClient};
use futures_util::future::join_all;

pub use books::FleetBooks;
pub use chaos::{Survived, chaos};
pub use client::{Answered, as_request, ask, read};
pub use load::{deliver, place_all, settled};
use process::Process;
pub use run::{run_chaos, run_services};
pub use trace::{run_trace, trace};

use crate::{
    domain::Cents,
    nats_server::{Accounts, NatsServer, NatsServerError},
    services::{inventory, orders, payments, provider, shipping},
};

/// All services, the provider first.
pub const ALL: [&str; 5] = [provider::NAME, inventory::NAME, payments::NAME, shipping::NAME, orders::NAME];

/// What the fleet is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Where all state lies.
    pub dir: PathBuf,
    /// The program that is each of the services.
    pub program: PathBuf,
    /// The most that a card is good for.
    pub card_max: Cents,
    /// The most CDs that fit into a parcel.
    pub parcel_max: u32,
}

/// The running fleet. Dropping it kills the services.
#[derive(Debug)]
pub struct Fleet {
    dir: PathBuf,
    nats_port: u16,
    broker: Option<NatsServer>,
    accounts: Option<Accounts>,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    name: &'static str,
    process: Process,
    client: OutboundClient,
}

/// Why the fleet does not run, or does not do what it is to do.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The broker does not work.
    #[error(transparent)]
    Nats(#[from] NatsServerError),
    /// A process cannot be started, or spoken to.
    #[error("the process of {name} cannot be used")]
    Process {
        /// Which service.
        name: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A service ended, or is not ready in time.
    #[error("{name} {what}; its log is {log}")]
    NotReady {
        /// Which service.
        name: &'static str,
        /// What it did.
        what: String,
        /// Where it says why.
        log: PathBuf,
    },
    /// No port is free.
    #[error("no port is free")]
    Port(#[source] io::Error),
    /// A client cannot be made.
    #[error(transparent)]
    Client(#[from] BuildError),
    /// A call has no answer.
    #[error("{name} does not answer")]
    Call {
        /// Which service.
        name: String,
        /// Why.
        source: CallError,
    },
    /// It answered something else than was expected.
    #[error("{name} answered {status}: {body}")]
    Unexpected {
        /// Which service.
        name: String,
        /// The status.
        status: u16,
        /// What it said.
        body: String,
    },
}

impl Fleet {
    /// Starts the broker and all services, and waits until each is ready.
    ///
    /// # Errors
    /// [`FleetError`]: what does not start; what was started is ended.
    pub async fn start(setup: &Setup) -> Result<Self, FleetError> {
        let mut fleet = Self::prepare(setup)?;
        fleet.start_broker().await?;
        for name in ALL {
            fleet.start_service(name)?;
        }
        for name in ALL {
            fleet.ready(name).await?;
        }
        Ok(fleet)
    }

    /// The fleet before anything runs.
    ///
    /// # Errors
    /// [`FleetError`] when there are no ports.
    pub fn prepare(setup: &Setup) -> Result<Self, FleetError> {
        let clients = Clients::default();
        let mut ports = free_ports(ALL.len() + 1).map_err(FleetError::Port)?;
        let nats_port = ports.pop().unwrap_or_default();
        let at = |port| format!("127.0.0.1:{port}");
        let provider = format!("http://{}", at(ports.first().copied().unwrap_or_default()));
        let mut members = Vec::new();
        for (name, port) in ALL.into_iter().zip(ports) {
            let mut arguments =
                vec!["--dir".to_owned(), setup.dir.display().to_string(), "serve".to_owned(), name.to_owned()];
            arguments.extend(["--listen".to_owned(), at(port), "--attached".to_owned()]);
            match name {
                provider::NAME => arguments.extend(["--card-max".to_owned(), setup.card_max.to_string()]),
                payments::NAME => arguments.extend(["--provider".to_owned(), provider.clone()]),
                shipping::NAME => arguments.extend(["--parcel-max".to_owned(), setup.parcel_max.to_string()]),
                _ => {}
            }
            let mut process = Process::new(setup.program.clone(), arguments, setup.dir.join(format!("{name}.log")));
            process.set_variable("NATS_URL", &format!("nats://{}", at(nats_port)));
            let client = client::client(&clients, name, &format!("http://{}", at(port)))?;
            members.push(Member { name, process, client });
        }
        Ok(Self { dir: setup.dir.clone(), nats_port, broker: None, accounts: None, members })
    }

    /// Gives all services a variable of the environment, from their next start on.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.members.iter_mut().for_each(|member| member.process.set_variable(name, value));
    }

    /// Starts a service, unless it runs; does not wait for it.
    ///
    /// # Errors
    /// [`FleetError::Process`].
    pub fn start_service(&mut self, name: &'static str) -> Result<(), FleetError> {
        self.process(name).start().map_err(|source| FleetError::Process { name, source })
    }

    /// Waits until a service says that it is ready.
    ///
    /// # Errors
    /// [`FleetError::NotReady`] when it ends, or takes too long.
    pub async fn ready(&mut self, name: &'static str) -> Result<(), FleetError> {
        let client = self.client(name).clone();
        let process = self.process(name);
        let not_ready = |what, process: &Process| FleetError::NotReady { name, what, log: process.log().to_owned() };
        match client::until_ready(&client, process).await {
            Ok(()) => Ok(()),
            Err(what) => Err(not_ready(what, process)),
        }
    }

    /// Kills a service.
    pub async fn kill(&mut self, name: &'static str) {
        self.process(name).kill().await;
    }

    /// Tells a service to end, and waits until it has.
    ///
    /// # Errors
    /// [`FleetError::NotReady`] when it ended otherwise than it should.
    pub async fn end(&mut self, name: &'static str) -> Result<(), FleetError> {
        let process = self.process(name);
        let ended = process.end().await;
        ended.map_err(|what| FleetError::NotReady { name, what, log: process.log().to_owned() })
    }

    /// Who speaks to a service.
    ///
    /// # Panics
    /// When there is no service of this name.
    #[must_use]
    pub fn client(&self, name: &str) -> &OutboundClient {
        &self.members.iter().find(|member| member.name == name).expect("a name of `ALL`").client
    }

    /// Who speaks to all of them.
    #[must_use]
    pub fn clients(&self) -> Vec<OutboundClient> {
        self.members.iter().map(|member| member.client.clone()).collect()
    }

    /// Where all state lies.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Ends everything in order.
    ///
    /// # Errors
    /// [`FleetError`]: who did not end as it should.
    pub async fn stop(mut self) -> Result<(), FleetError> {
        let ending = self.members.iter_mut().map(|Member { name, process, .. }| async move {
            let ended = process.end().await;
            ended.map_err(|what| FleetError::NotReady { name, what, log: process.log().to_owned() })
        });
        // All of them end, also when one of them does not as it should.
        for ended in join_all(ending).await {
            ended?;
        }
        match self.broker.take() {
            Some(broker) => Ok(broker.stop().await?),
            None => Ok(()),
        }
    }

    fn process(&mut self, name: &str) -> &mut Process {
        &mut self.members.iter_mut().find(|member| member.name == name).expect("a name of `ALL`").process
    }
}

/// Ports that nobody has at present.
fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<Result<_, _>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}
