//! By what a repetition of a command is known.

use annalist_core::Fingerprint;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Command;

/// A hash of the command's name and content, and of what it goes to if the key does not say that. The order in which a map
/// happens to give its entries does not matter.
///
/// # Errors
/// When the command cannot be written as JSON.
pub(super) fn fingerprint<C: Command>(command: &C, target: Option<&str>) -> Result<Fingerprint, serde_json::Error> {
    let mut hash = Sha256::new();
    hash.update(C::NAME);
    hash.update([0]);
    add(&mut hash, &serde_json::to_value(command)?);
    if let Some(target) = target {
        hash.update([0]);
        hash.update(target);
    }
    let hash: [u8; 32] = hash.finalize().into();
    let (half, _) = hash.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
    Ok(Fingerprint::new(*half))
}

/// Adds a value as JSON without spaces and with the keys of objects in order.
fn add(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Array(values) => {
            hash.update("[");
            for value in values {
                add(hash, value);
                hash.update(",");
            }
            hash.update("]");
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            hash.update("{");
            for (name, value) in members {
                hash.update(Value::from(name.as_str()).to_string());
                hash.update(":");
                add(hash, value);
                hash.update(",");
            }
            hash.update("}");
        }
        scalar => hash.update(scalar.to_string()),
    }
}
