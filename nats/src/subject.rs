//! Names of streams, subjects and their tokens.

use std::fmt::Write;

use annalist::outbox::Message;

use crate::limits::STREAM_NAME_BYTES_MAX;

/// Checks the name of a JetStream stream: letters, digits, `_` and `-`. NATS allows a little more; these are safe as the
/// name of a directory and as a token of a subject everywhere.
pub(crate) fn check_stream(name: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if name.is_empty() || name.len() > STREAM_NAME_BYTES_MAX || !name.bytes().all(allowed) {
        return Err(format!(
            "`{name}` cannot be the name of a stream: use 1 to {STREAM_NAME_BYTES_MAX} letters, digits, `_` and `-`"
        ));
    }
    Ok(())
}

/// Checks a literal subject or the front part of one: non-empty tokens without blanks and wildcards.
pub(crate) fn check_subject(subject: &str) -> Result<(), String> {
    let bad = |token: &str| token.is_empty() || token.contains(|c: char| c.is_whitespace() || c.is_control());
    if subject.split('.').any(|token| bad(token) || token.contains(['*', '>'])) {
        return Err(format!(
            "`{subject}` cannot be a subject: write tokens without blanks, `*` and `>`, with dots between"
        ));
    }
    Ok(())
}

/// The default subject: `prefix.category.identifier`, each of the last two as one token.
pub(crate) fn of(prefix: &str, message: &Message) -> String {
    let mut subject = String::with_capacity(prefix.len() + message.stream.len() + 2);
    subject.push_str(prefix);
    for part in [message.category(), message.identifier()] {
        subject.push('.');
        push_token(&mut subject, part);
    }
    subject
}

/// Writes a text as one token: ASCII letters, digits, `_` and `-` as they are, every other byte of its UTF-8 form as
/// `%` and two upper-case hexadecimal digits, an empty text as `_`.
fn push_token(subject: &mut String, text: &str) {
    if text.is_empty() {
        subject.push('_');
    }
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') {
            subject.push(char::from(byte));
        } else {
            push_percent(subject, byte);
        }
    }
}

/// Writes a byte as `%` and two upper-case hexadecimal digits.
pub(crate) fn push_percent(text: &mut String, byte: u8) {
    write!(text, "%{byte:02X}").expect("writing to a string does not fail");
}

/// Whether a stream that takes `pattern` takes everything below `prefix`.
pub(crate) fn covers(pattern: &str, prefix: &str) -> bool {
    let mut tokens = prefix.split('.');
    for part in pattern.split('.') {
        match (part, tokens.next()) {
            (">", _) => return true,
            ("*", Some(_)) => {}
            (part, Some(token)) if part == token => {}
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests;
