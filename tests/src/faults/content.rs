//! What the processes write: every event says which append it belongs to and is made from that alone, so that whoever finds it
//! can say whether it is whole.

use annalist_store::{KeyValueOptions, StoreOptions};

use super::Random;

/// The streams that plain appends go to.
const STREAMS: u64 = 24;

/// Which append: the number of the process's life in the store, and of the append in that life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    /// The life.
    pub life: u64,
    /// The append.
    pub number: u64,
}

/// What kind of step a number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Events for one or two streams, whatever stands there.
    Plain,
    /// Many large events, over several pages.
    Large,
    /// Events for a stream of the task's own, which must be at the version that it knows.
    Own,
    /// An event with a tag, unless there is one with this tag: two numbers that come together have the same tag.
    Unique,
    /// A key without events.
    Bare,
    /// The append of ten numbers before, once more.
    Again,
    /// A consumer's note.
    Note,
    /// A snapshot of the task's own stream.
    Snapshot,
    /// What is new goes into a view.
    View,
}

impl Id {
    /// Reads `life-number`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (life, number) = text.split_once('-')?;
        Some(Self { life: life.parse().ok()?, number: number.parse().ok()? })
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self.number % 20 {
            0..=7 => Kind::Plain,
            8..=11 => Kind::Own,
            12 | 13 => Kind::Unique,
            14 => Kind::Bare,
            15 => Kind::Note,
            16 => Kind::Snapshot,
            17 => Kind::View,
            18 => Kind::Again,
            _ => Kind::Large,
        }
    }

    /// The tag of a unique append.
    #[must_use]
    pub fn tag(self) -> String {
        format!("u-{}-{}", self.life, self.number / 20)
    }

    /// To which streams it goes, with how many events each. `own` is the task's own stream.
    #[must_use]
    pub fn entries(self, own: &str) -> Vec<(String, u64)> {
        let first = format!("crash-{}", self.number * 7 % STREAMS);
        match self.kind() {
            Kind::Plain if self.number.is_multiple_of(4) => {
                vec![(first, self.number % 3 + 1), (format!("crash-{}", (self.number * 7 + 1) % STREAMS), 1)]
            }
            Kind::Plain => vec![(first, self.number % 3 + 1)],
            Kind::Large => vec![(first, 12)],
            Kind::Own => vec![(own.to_owned(), self.number % 3 + 1)],
            Kind::Unique => vec![(first, 1)],
            Kind::Bare | Kind::Again | Kind::Note | Kind::Snapshot | Kind::View => Vec::new(),
        }
    }

    /// How many events it has.
    #[must_use]
    pub fn event_count(self) -> u64 {
        self.entries("").iter().map(|(_, count)| count).sum()
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.life, self.number)
    }
}

/// What an event of an append holds, counted from 0: who it is, and bytes that follow from that.
#[must_use]
pub fn payload(id: Id, part: u64) -> Vec<u8> {
    let mut random = Random::new(id.life << 40 ^ id.number << 8 ^ part);
    let longest = if id.kind() == Kind::Large { 4000 } else { 700 };
    let length = random.below(longest);
    let mut bytes = format!("{id} {part} ").into_bytes();
    bytes.extend((0..length).map(|_| random.any().to_le_bytes()[0]));
    bytes
}

/// Whose event this is, and which of its append; `None` if its bytes are not what they must be.
#[must_use]
pub fn whose(bytes: &[u8]) -> Option<(Id, u64)> {
    let mut words = bytes.splitn(3, |byte| *byte == b' ').map(|word| std::str::from_utf8(word).ok());
    let id = Id::parse(words.next()??)?;
    let part = words.next()??.parse().ok()?;
    (payload(id, part) == bytes).then_some((id, part))
}

/// Small chunks and memtables, so that a short life sees flushes and index chunks. The seed chooses what may differ.
#[must_use]
pub fn options(seed: u64) -> StoreOptions {
    let mut random = Random::new(seed);
    let mut options = StoreOptions::default();
    options.index_chunk_events = random.of(&[40, 80, 200]);
    options.memtable_bytes = random.of(&[64, 128, 256]) * 1024;
    options.recycle_wal_files = random.below(4) > 0;
    options.page_bytes = random.of(&[2048, 8192]);
    options
}

/// The same for the view.
#[must_use]
pub fn view_options() -> KeyValueOptions {
    let mut options = KeyValueOptions::default();
    options.memtable_bytes = 64 * 1024;
    options
}
