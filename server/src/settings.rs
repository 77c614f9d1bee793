//! Every setting of a server, by name: the table that files, the environment and `docs/server.md` are held against.

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A path, an address, a word.
    Text,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Switch,
}

/// A setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its name in a file, tables before a dot.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// What it says, for people.
    pub(crate) what: &'static str,
    /// Whether there is a flag for it.
    pub(crate) flag: bool,
}

impl Setting {
    /// The variable of the environment for it.
    pub(crate) fn variable(&self) -> String {
        format!("ANNALIST_{}", self.name.replace('.', "_").to_uppercase())
    }

    /// The flag for it.
    pub(crate) fn flag(&self) -> Option<String> {
        self.flag.then(|| format!("--{}", self.name.replace(['.', '_'], "-")))
    }
}

const fn flag(name: &'static str, kind: Kind, what: &'static str) -> Setting {
    Setting { name, kind, what, flag: true }
}

const fn no_flag(name: &'static str, kind: Kind, what: &'static str) -> Setting {
    Setting { name, kind, what, flag: false }
}

/// All of them.
pub(crate) const SETTINGS: &[Setting] = &[
    flag("listen", Kind::Text, "where it listens; port 0 takes any that is free"),
    flag("data", Kind::Text, "the folder of the store, made if need be"),
    flag("keys", Kind::Text, "the file of the keys that are accepted"),
    flag("without_keys", Kind::Switch, "whether it may listen beyond loopback though it asks nobody who he is"),
    flag("tls.cert", Kind::Text, "the certificate to speak TLS with, PEM"),
    flag("tls.key", Kind::Text, "its private key, PEM"),
    flag("tls.client_ca", Kind::Text, "the authorities that clients must have certificates of, PEM"),
    flag("tls.client_crl", Kind::Text, "the lists of certificates that these authorities have revoked, PEM"),
    flag("backups", Kind::Text, "the folder of the backups that clients may ask for"),
    no_flag("audit", Kind::Text, "the file that refusals and administration are told to; without it, the log"),
    no_flag("log", Kind::Text, "how log lines are written: `text` or `json`"),
    no_flag("traces", Kind::Text, "where traces are sent by OTLP, such as `http://collector:4318/v1/traces`"),
    no_flag("request_memory_bytes", Kind::Number, "memory for the bodies of all requests together"),
    no_flag("answers_max", Kind::Number, "most reads and subscriptions at a time, of all connections together"),
    no_flag("store.create", Kind::Switch, "whether a store is made where there is none"),
    no_flag("store.durability", Kind::Text, "what an acknowledgement promises: `power-loss` or `process-crash`"),
    no_flag("store.page_bytes", Kind::Number, "target size of a page of the log"),
    no_flag("store.compression", Kind::Text, "how the log is compressed: `none`, `lz4`, `zstd`"),
    no_flag("store.index_chunk_events", Kind::Number, "events for each chunk of the index"),
    no_flag("store.block_cache_bytes", Kind::Number, "memory for blocks of the index"),
    no_flag("store.memtable_bytes", Kind::Number, "size of a memtable of the log"),
    no_flag("store.recycle_wal_files", Kind::Switch, "whether files of the write-ahead log are used again"),
    no_flag("store.disk_reserve_bytes", Kind::Number, "what is kept free on the disk"),
];

/// The setting of a name.
pub(crate) fn named(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// The name that somebody may have meant.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let distance = |known: &str| {
        // The right name in the wrong table is near too.
        strsim::damerau_levenshtein(name, known).min(strsim::damerau_levenshtein(&last(name), &last(known)) + 1)
    };
    let near = SETTINGS.iter().map(|setting| (distance(setting.name), setting.name)).min()?;
    (near.0 <= 1 + name.len() / 3).then_some(near.1)
}
