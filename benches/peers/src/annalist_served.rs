//! Annalist's server with its defaults, as its own program starts it, with the allocator that it ships with. A program of its
//! own, because a program has one allocator. Ends when its standard input does.

use std::{env, io, thread};

use annalist_server::{Server, ServerOptions, runtime};
use tokio::sync::oneshot;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = env::args_os().nth(1).ok_or("usage: annalist-served FOLDER")?;
    let mut options = ServerOptions::default();
    options.listen.set_port(0);
    options.data = folder.into();
    if let Ok(store) = env::var("PEERS_OPTIONS") {
        options.store = serde_json::from_str(&store)?;
    }
    let (ended, end) = oneshot::channel();
    thread::spawn(move || {
        // Whatever ends the input ends the server.
        _ = io::copy(&mut io::stdin(), &mut io::sink());
        _ = ended.send(());
    });
    runtime()?.block_on(async {
        let running = Server::start(options).await?;
        println!("listening {}", running.address());
        _ = end.await;
        Ok(running.shutdown().await?)
    })
}
