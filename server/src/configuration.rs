//! What a server is told: flags before the environment before a file before defaults.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use crate::{
    options::ServerOptions,
    settings::{self, Kind, SETTINGS, Setting},
};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// The file cannot be read.
    #[error("the configuration in {} cannot be read: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// There is no such setting.
    #[error("{}: there is no setting `{name}`{}", path.display(), nearest.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What is written there.
        name: String,
        /// What may be meant.
        nearest: Option<&'static str>,
    },
    /// A value cannot be one of its setting.
    #[error("{name} of {origin}: {why}")]
    Value {
        /// The setting.
        name: &'static str,
        /// Where the value comes from.
        origin: Origin,
        /// What is wrong with it.
        why: String,
    },
    /// Settings that make sense together alone.
    #[error("{0}")]
    Together(&'static str),
}

/// Where a value comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody said anything else.
    Default,
    /// A file.
    File(PathBuf),
    /// A variable of the environment.
    Variable(String),
    /// A flag of the command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => path.display().fmt(f),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A setting as it is in force. None of them is a secret: keys and certificates stand in files of their own.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Configured {
    /// The name of the setting.
    pub name: &'static str,
    /// Its value as it would stand in a file; `None`: it is not set.
    pub value: Option<String>,
    /// Where that comes from.
    pub origin: Origin,
}

/// Everything that a server is told.
#[derive(Clone, Debug)]
pub struct Configuration {
    options: ServerOptions,
    configured: Vec<Configured>,
}

/// Values by the names of their settings.
pub(crate) type Values = BTreeMap<&'static str, Value>;

impl Configuration {
    /// Of flags, the file that they or the environment name or the one of the current folder, the environment, and defaults.
    pub(crate) fn of(
        flags: &Values,
        file: Option<&Path>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigurationError> {
        let named = file.map(Path::to_owned).or_else(|| variable("ANNALIST_CONFIG").map(PathBuf::from));
        let (path, must_exist) = named.map_or_else(|| (PathBuf::from(FILE), false), |path| (path, true));
        let mut values: BTreeMap<&'static str, (Value, Origin)> = BTreeMap::new();
        for (name, value) in read(&path, must_exist)? {
            values.insert(name, (value, Origin::File(path.clone())));
        }
        for setting in SETTINGS {
            let origin = Origin::Variable(setting.variable());
            if let Some(text) = variable(&setting.variable()) {
                let why = || ConfigurationError::Value {
                    name: setting.name,
                    origin: origin.clone(),
                    why: format!("`{text}` is not {}", expected(setting.kind)),
                };
                values.insert(setting.name, (value(setting, &text).ok_or_else(why)?, origin));
            }
            if let Some(value) = flags.get(setting.name) {
                let origin = Origin::Flag(setting.flag().unwrap_or_default());
                values.insert(setting.name, (value.clone(), origin));
            }
        }
        Self::with(&values)
    }

    fn with(values: &BTreeMap<&'static str, (Value, Origin)>) -> Result<Self, ConfigurationError> {
        // One by one first, so that the one that is wrong is named.
        for (&name, (value, origin)) in values {
            let mut alone = BTreeMap::from([(name, value.clone())]);
            if name.starts_with("tls.") {
                alone.entry("tls.cert").or_insert_with(|| "-".into());
                alone.entry("tls.key").or_insert_with(|| "-".into());
            }
            let parsed = table(alone).try_into::<ServerOptions>();
            let what = settings::named(name).map(|setting| setting.what).unwrap_or_default();
            let why = |error: toml::de::Error| format!("{}; it says {what}", error.message());
            parsed.map_err(|error| ConfigurationError::Value { name, origin: origin.clone(), why: why(error) })?;
        }
        let is_set = |name| values.contains_key(name);
        if is_set("tls.cert") != is_set("tls.key")
            || (is_set("tls.client_ca") || is_set("tls.client_crl")) && !is_set("tls.cert")
        {
            return Err(ConfigurationError::Together(
                "TLS needs both a certificate and its key; set tls.cert and tls.key, or neither",
            ));
        }
        if is_set("tls.client_crl") && !is_set("tls.client_ca") {
            return Err(ConfigurationError::Together(
                "tls.client_crl has what authorities of clients have revoked; say with tls.client_ca which these are",
            ));
        }
        let options = table(values.iter().map(|(name, (value, _))| (*name, value.clone())).collect());
        let options: ServerOptions = options
            .try_into()
            .map_err(|error: toml::de::Error| ConfigurationError::File { path: FILE.into(), why: error.to_string() })?;
        let defaults = flat(&Table::try_from(ServerOptions::default()).unwrap_or_default(), "");
        let configured = SETTINGS.iter().map(|&Setting { name, .. }| {
            let (value, origin) = match values.get(name) {
                Some((value, origin)) => (Some(value.clone()), origin.clone()),
                None => (defaults.get(name).cloned(), Origin::Default),
            };
            Configured { name, value: value.map(|value| value.to_string()), origin }
        });
        Ok(Self { configured: configured.collect(), options })
    }

    /// What it comes to.
    #[must_use]
    pub const fn options(&self) -> &ServerOptions {
        &self.options
    }

    /// Every setting, and where its value comes from.
    #[must_use]
    pub fn settings(&self) -> &[Configured] {
        &self.configured
    }
}

/// The file that is read from the current folder, if it is there and no other is named.
const FILE: &str = "annalist.toml";

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Number => "a whole number",
        Kind::Switch => "`true` or `false`",
    }
}

fn value(setting: &Setting, text: &str) -> Option<Value> {
    Some(match setting.kind {
        Kind::Text => Value::String(text.to_owned()),
        Kind::Number => Value::Integer(text.parse().ok()?),
        Kind::Switch => Value::Boolean(text.parse().ok()?),
    })
}

fn read(path: &Path, must_exist: bool) -> Result<Values, ConfigurationError> {
    let failed = |why: String| ConfigurationError::File { path: path.to_owned(), why };
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => return Ok(Values::new()),
        Err(error) => return Err(failed(error.to_string())),
    };
    let parsed: Table = text.parse().map_err(|error: toml::de::Error| failed(error.to_string().trim().to_owned()))?;
    let known = flat(&parsed, "").into_iter().map(|(name, value)| {
        let setting = settings::named(&name).ok_or_else(|| {
            let nearest = settings::nearest(&name);
            ConfigurationError::Unknown { path: path.to_owned(), name: name.clone(), nearest }
        })?;
        Ok((setting.name, value))
    });
    known.collect()
}

/// Values by their names, tables before a dot.
pub(crate) fn flat(table: &Table, before: &str) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    for (name, value) in table {
        let name = format!("{before}{name}");
        match value {
            Value::Table(inner) => values.append(&mut flat(inner, &format!("{name}."))),
            value => _ = values.insert(name, value.clone()),
        }
    }
    values
}

/// The reverse.
fn table(values: Values) -> Table {
    let mut table = Table::new();
    for (name, value) in values {
        match name.split_once('.') {
            None => _ = table.insert(name.to_owned(), value),
            Some((outer, name)) => {
                let inner = table.entry(outer).or_insert_with(|| Value::Table(Table::new()));
                if let Value::Table(inner) = inner {
                    inner.insert(name.to_owned(), value);
                }
            }
        }
    }
    table
}

#[cfg(test)]
mod tests;
