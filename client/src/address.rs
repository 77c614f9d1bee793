//! What is wrong with an address.

use std::path::PathBuf;

/// Why a server cannot be asked at an address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The address cannot be one.
    #[error("`{address}` is not the address of a server ({why}); write `http://host:port` or `https://host:port`")]
    Malformed {
        /// The address.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file of the options cannot be used.
    #[error("TLS cannot be spoken with {}: {why}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}
