//! Tephra's server with its defaults, as its own program starts it, with the allocator that it ships with. A program of its
//! own, because a program has one allocator. Ends when its standard input does.

use std::{env, io, thread};

use tephra::{SegmentConfig, SegmentSet, WriteCoordinator, WriterConfig};
use tephra_server::{Server, ServerConfig};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The default of its configuration.
const SEGMENT_BYTES: usize = 256 * 1024 * 1024;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = env::args_os().nth(1).ok_or("usage: tephra-served FOLDER")?;
    let segments = SegmentSet::open(&folder, SegmentConfig::new(SEGMENT_BYTES))?;
    let (coordinator, handle) = WriteCoordinator::start(segments, WriterConfig::default())?;
    let server = Server::bind("127.0.0.1:0", handle, ServerConfig::default())?.with_data_dir(folder);
    println!("listening {}", server.local_addr());
    let shutdown = server.shutdown_handle();
    thread::spawn(move || {
        // Whatever ends the input ends the server.
        _ = io::copy(&mut io::stdin(), &mut io::sink());
        shutdown.shutdown();
    });
    let served = server.run();
    coordinator.shutdown();
    Ok(served?)
}
