//! What an app says of itself: metrics, health, spans and links.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::indexing_slicing, reason = "a test that cannot go on fails")]
#![expect(clippy::float_cmp, reason = "what is compared was counted, and so is exact")]

mod bank;

mod health;
mod spans;
mod values;
