//! Every limit of the vocabulary, with its reason. A store may be stricter about memory, never about these.

/// Longest stream name, tag, key scope or key, in bytes. Names are index keys; a kilobyte is far beyond any sensible
/// identifier and still small beside an index block.
pub const NAME_BYTES_MAX: usize = 1024;

/// Longest event type or content type, in bytes. Types are chosen by programmers, not by data.
pub const TYPE_BYTES_MAX: usize = 255;

/// Most tags on one event. Each tag is an index row of its own.
pub const EVENT_TAGS_MAX: usize = 32;

/// All tags of one event, encoded, in bytes.
pub const TAGS_BYTES_MAX: usize = EVENT_TAGS_MAX * (NAME_BYTES_MAX + 2);

/// Encoded metadata of one event, in bytes. Metadata travels in message headers, which brokers limit to 64 KiB.
pub const METADATA_BYTES_MAX: usize = 48 * 1024;

/// Largest payload of one event, in bytes (8 MiB). Larger documents belong in an object store, with a reference here.
pub const PAYLOAD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Largest append, in bytes of its encoded events (16 MiB). One append is one atomic write, held in memory whole.
pub const APPEND_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Most events in one append. Bounds the time that one caller can hold up the others of its group.
pub const APPEND_EVENTS_MAX: usize = 16_384;

/// Most streams in one append, guards included.
pub const APPEND_ENTRIES_MAX: usize = 1024;

/// Most conditions on one append. Each is looked up by the caller and again by the sequencer.
pub const APPEND_CONDITIONS_MAX: usize = 16;

/// Most items of one query.
pub const QUERY_ITEMS_MAX: usize = 64;

/// Most names of one query: types, tags, categories and streams together. Each is a look-up in the index.
pub const QUERY_NAMES_MAX: usize = 256;

/// Largest recorded outcome of a keyed append, in bytes. It is a reply, not a document.
pub const OUTCOME_BYTES_MAX: usize = 64 * 1024;

const _: () = assert!(PAYLOAD_BYTES_MAX < APPEND_BYTES_MAX, "one event of the largest size must fit an append");
const _: () = assert!(TAGS_BYTES_MAX <= u16::MAX as usize, "the record holds the length of the tags in 16 bits");
const _: () =
    assert!(METADATA_BYTES_MAX <= u16::MAX as usize, "the record holds the length of the metadata in 16 bits");
const _: () = assert!(TYPE_BYTES_MAX <= u8::MAX as usize, "the record holds the length of a type in 8 bits");
