//! Makes the Rust face of the protocol. The compiler of `.proto` files is a crate, so that nothing need be installed.

use std::{env, fs, path::Path};

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=annalist");
    let described = protox::compile(["annalist/v1/annalist.proto"], ["."])?;
    let out = env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    fs::write(Path::new(&out).join("annalist.v1.bin"), described.encode_to_vec())?;
    tonic_prost_build::configure()
        .bytes(".")
        // Most events have none, and lists of events make room for a few at a time.
        .boxed(".annalist.v1.NewEvent.metadata")
        .boxed(".annalist.v1.RecordedEvent.metadata")
        .extern_path(".annalist.v1.PipelineRequest", "crate::pipeline::PipelineRequest")
        .codec_path("crate::codec::Buffered")
        .compile_fds(described)?;
    Ok(())
}
