//! Who may do what: API keys, of which only hashes are kept, and certificates by their names.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;

use sha2::{Digest as _, Sha256};

use crate::principal::{Principal, Right, Role};

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

    /// Who bears a key.
    pub(crate) fn bearer(&self, key: &str) -> Option<Arc<Principal>> {
        self.now.load().bearer(key)
    }

    /// Who shows a certificate with these names. The first of them that is known counts.
    pub(crate) fn certified(&self, names: &[String]) -> Option<Arc<Principal>> {
        let now = self.now.load();
        names.iter().find_map(|name| now.certified.get(name)).cloned()
    }

    /// Whether certificates are named in it.
    pub(crate) fn names_certificates(&self) -> bool {
        !self.now.load().certified.is_empty()
    }
}

/// The keys that a server accepts.
#[derive(PartialEq, Eq)]
struct Keys {
    bearers: HashMap<Hash, Arc<Principal>>,
    /// By an alternative name of the certificate, as [`Certified`](crate::tls::Certified) has them.
    certified: HashMap<String, Arc<Principal>>,
}

/// By what somebody is known.
enum Mark {
    Key(Hash),
    Certificate(String),
}

impl Keys {
    /// Reads a file of keys: lines of role, name, hash and categories, as [`new_key`] makes them, or with a name of a certificate
    /// in place of the hash; empty lines and those that begin with `#` say nothing.
    fn load(path: &Path) -> Result<Self, String> {
        Self::parse(&fs::read_to_string(path).map_err(|error| error.to_string())?)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let (mut bearers, mut certified) = (HashMap::new(), HashMap::new());
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (mark, somebody) = parse_line(line).map_err(|why| format!("line {number}: {why}"))?;
            let known = match mark {
                Mark::Key(hash) => bearers.insert(hash, Arc::new(somebody)),
                Mark::Certificate(name) => certified.insert(name, Arc::new(somebody)),
            };
            if known.is_some() {
                return Err(format!("line {number} has a key or a certificate that is in there already"));
            }
        }
        if bearers.is_empty() && certified.is_empty() {
            return Err("there is no key in it, and no certificate".to_owned());
        }
        Ok(Self { bearers, certified })
    }

    /// Who bears a key. What is looked up is a hash, so that the time it takes tells nothing.
    fn bearer(&self, key: &str) -> Option<Arc<Principal>> {
        self.bearers.get(&hash(key)).cloned()
    }
}

fn parse_line(line: &str) -> Result<(Mark, Principal), String> {
    let mut words = line.split_whitespace();
    let (Some(role), Some(name), Some(mark)) = (words.next(), words.next(), words.next()) else {
        return Err("it is not `role name hash`, and not `role name dns:NAME` or `role name uri:NAME`".to_owned());
    };
    let role = Role::named(role).ok_or_else(|| format!("`{role}` is no role; write read, append or admin"))?;
    let mark = parse_mark(mark)?;
    let categories = words.map(|word| grant(role, word)).collect::<Result<BTreeMap<_, _>, _>>()?;
    let categories = (!categories.is_empty()).then_some(categories);
    Ok((mark, Principal { name: name.into(), role, categories }))
}

/// The hash of a key, or a name of a certificate: of hosts (in which case makes no difference) or a URI.
fn parse_mark(word: &str) -> Result<Mark, String> {
    match word.split_once(':') {
        Some(("dns", name)) if !name.is_empty() => Ok(Mark::Certificate(word.to_ascii_lowercase())),
        Some(("uri", name)) if !name.is_empty() => Ok(Mark::Certificate(word.to_owned())),
        Some(_) => Err(format!("`{word}` names no certificate; write dns:NAME or uri:NAME")),
        None => from_hex(word).map(Mark::Key).ok_or_else(|| "the hash has not 64 hexadecimal digits".to_owned()),
    }
}

/// `category=read` or `category=append`.
fn grant(role: Role, word: &str) -> Result<(String, Right), String> {
    let parts = word.rsplit_once('=').filter(|(category, _)| !category.is_empty());
    let known = parts.and_then(|(category, right)| Some((category.to_owned(), Right::named(right)?)));
    let (category, right) = known.ok_or_else(|| format!("`{word}` is not `category=read` or `category=append`"))?;
    if role == Role::Admin {
        return Err("an admin is not confined to categories; leave them out, or take another role".to_owned());
    }
    if !right.is_within(role) {
        return Err(format!("`{word}` is more than the role {role}"));
    }
    Ok((category, right))
}

/// Makes a key: the key itself, for its bearer, and the line for the server's file, which holds only its hash. The key has 256
/// random bits, so a hash that is quick to make is as good as a slow one.
///
/// With categories, words such as `order=append`, it is good for those alone.
///
/// # Errors
/// When the name has white space, a category cannot be one, or the system has no randomness.
pub fn new_key(role: Role, name: &str, categories: &[String]) -> std::io::Result<(String, String)> {
    if [name]
        .into_iter()
        .chain(categories.iter().map(String::as_str))
        .any(|word| word.is_empty() || word.contains(char::is_whitespace))
    {
        return Err(std::io::Error::other("names and categories have no white space"));
    }
    for word in categories {
        grant(role, word).map_err(std::io::Error::other)?;
    }
    let mut random = Hash::default();
    fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    let key = format!("annalist_{}", hex(&random));
    let mut line = format!("{role} {name} {}", hex(&hash(&key)));
    for word in categories {
        line.push(' ');
        line.push_str(word);
    }
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
