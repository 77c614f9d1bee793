//! Who may do what: API keys, of which only hashes are kept.

use std::{
    collections::HashMap,
    fmt, fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;

use sha2::{Digest as _, Sha256};

/// What the bearer of a key may do; each may do what those before it may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, clap::ValueEnum)]
#[non_exhaustive]
pub enum Role {
    /// Read, follow, ask for statistics and metrics.
    Read,
    /// Append, save snapshots and checkpoints.
    Append,
    /// Everything.
    Admin,
}

impl Role {
    const ALL: [Self; 3] = [Self::Read, Self::Append, Self::Admin];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Append => "append",
            Self::Admin => "admin",
        })
    }
}

/// What a key is kept as.
type Hash = [u8; 32];

/// The keys that a server accepts now, and the file that they are from.
pub(crate) struct KeyFile {
    path: PathBuf,
    now: ArcSwap<Keys>,
}

impl KeyFile {
    /// Reads a file of keys.
    pub(crate) fn load(path: &Path) -> Result<Self, String> {
        Ok(Self { path: path.to_owned(), now: ArcSwap::from_pointee(Keys::load(path)?) })
    }

    /// Reads it again, and says whether it has changed. What cannot be used changes nothing.
    pub(crate) fn reload(&self) -> Result<bool, String> {
        let keys = Keys::load(&self.path).map_err(|why| format!("{}: {why}", self.path.display()))?;
        let changed = keys != **self.now.load();
        if changed {
            self.now.store(Arc::new(keys));
        }
        Ok(changed)
    }

    /// What the bearer of a key may do.
    pub(crate) fn role(&self, key: &str) -> Option<Role> {
        self.now.load().role(key)
    }
}

/// The keys that a server accepts.
#[derive(PartialEq, Eq)]
struct Keys {
    roles: HashMap<Hash, Role>,
}

impl Keys {
    /// Reads a file of keys: lines of role, name and hash, as [`new_key`] makes them; empty lines and those that begin with `#`
    /// say nothing.
    fn load(path: &Path) -> Result<Self, String> {
        Self::parse(&fs::read_to_string(path).map_err(|error| error.to_string())?)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut roles = HashMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let read = || {
                let mut words = line.split_whitespace();
                let (role, _name, hash) = (words.next()?, words.next()?, words.next()?);
                let role = Role::ALL.into_iter().find(|known| known.to_string() == role)?;
                words.next().is_none().then_some((from_hex(hash)?, role))
            };
            let (hash, role) = read().ok_or_else(|| format!("line {number} is not `role name hash`"))?;
            if roles.insert(hash, role).is_some() {
                return Err(format!("line {number} has a key that is in there already"));
            }
        }
        if roles.is_empty() {
            return Err("there is no key in it".to_owned());
        }
        Ok(Self { roles })
    }

    /// What the bearer of a key may do. What is looked up is a hash, so that the time it takes tells nothing.
    fn role(&self, key: &str) -> Option<Role> {
        self.roles.get(&hash(key)).copied()
    }
}

/// Makes a key: the key itself, for its bearer, and the line for the server's file, which holds only its hash. The key has 256
/// random bits, so a hash that is quick to make is as good as a slow one.
///
/// # Errors
/// When the name has white space, or the system has no randomness.
pub fn new_key(role: Role, name: &str) -> std::io::Result<(String, String)> {
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(std::io::Error::other("a name has no white space"));
    }
    let mut random = Hash::default();
    fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    let key = format!("annalist_{}", hex(&random));
    let line = format!("{role} {name} {}", hex(&hash(&key)));
    Ok((key, line))
}

fn hash(key: &str) -> Hash {
    Sha256::digest(key.as_bytes()).into()
}

fn hex(bytes: &Hash) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

fn from_hex(text: &str) -> Option<Hash> {
    let mut bytes = Hash::default();
    if text.len() != 2 * bytes.len() || !text.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
