//! The stores as servers, each in a process of its own, measured through the clients that their projects publish. The load
//! program has one thread, so that the server has the rest of a small machine.

mod annalist;
mod follow;
mod process;
mod rows;
mod tephra;
mod umadb;

use std::process::Command;

use benches::Failure;

use crate::{
    figures::Figures,
    task::{Task, Work, measure_on},
};

use self::{
    annalist::Annalist,
    follow::{Follow, follow},
    process::Process,
    tephra::Tephra,
    umadb::UmaDb,
};
pub(crate) use self::{
    process::{SERVE, serve},
    rows::rows,
};

/// The servers, ours first: their names are those of the stores, because tables have one or the other.
pub(crate) const SERVERS: [&str; 3] = ["annalist", "tephra", "umadb"];

/// Carries out a task against a server.
pub(crate) fn measure(task: &Task) -> Result<Figures, Failure> {
    match task.peer.as_str() {
        "annalist" => measure_one::<Annalist>(task),
        "tephra" => measure_one::<Tephra>(task),
        "umadb" => measure_one::<UmaDb>(task),
        peer => Err(format!("{peer} is no server").into()),
    }
}

fn measure_one<P: Follow>(task: &Task) -> Result<Figures, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match task.work {
        Work::Follow { rate, seconds } => runtime.block_on(async {
            let peer = std::sync::Arc::new(P::open(&task.folder).await?);
            let figures = follow(&peer, rate, seconds).await?;
            let figures = figures.of_process(peer.process());
            std::sync::Arc::into_inner(peer).ok_or("something still uses the client")?.close().await?;
            Ok(figures)
        }),
        work => measure_on::<P>(&runtime, task, work),
    }
}

/// A server of this name as a command; `serve` is what it does, but for those that are programs of their own, with the allocators
/// that they ship with.
fn command(name: &str) -> Result<Command, Failure> {
    let own = std::env::current_exe()?;
    match name {
        "annalist" => Ok(Command::new(own.with_file_name("annalist-served"))),
        "tephra" => {
            let mut command = Command::new(own.with_file_name("tephra-served"));
            // `background_thread` as its program sets it at its start. The rest is jemalloc's default: what it is compiled with
            // here is for Annalist.
            let arenas = 4 * std::thread::available_parallelism()?.get();
            let settings =
                format!("narenas:{arenas},dirty_decay_ms:10000,muzzy_decay_ms:0,background_thread:true");
            command.env("MALLOC_CONF", settings);
            Ok(command)
        }
        name => {
            let mut command = Command::new(own);
            command.args([SERVE, name]);
            Ok(command)
        }
    }
}
