//! Reading attributes, with errors that say what to write.

use syn::{LitInt, LitStr, Result, meta::ParseNestedMeta};

/// As in `annalist-core`, which checks again when the program runs; here the mistake is shown where it was made.
const NAME_BYTES_MAX: usize = 255;

/// `= "a name"`, checked as a name of a command or an event.
pub(crate) fn name(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    let name: LitStr = meta.value()?.parse()?;
    let value = name.value();
    let wrong = if value.is_empty() {
        "a name must not be empty"
    } else if value.len() > NAME_BYTES_MAX {
        "a name has at most 255 bytes"
    } else if value.starts_with('$') {
        "names that begin with `$` are the store's own; choose another"
    } else if value.contains(char::is_control) {
        "a name has no control characters"
    } else {
        return Ok(name);
    };
    Err(syn::Error::new(name.span(), wrong))
}

/// `= "a category"`.
pub(crate) fn category(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    let category = name(meta)?;
    if category.value().contains('-') {
        let wrong = "a category has no `-`: it ends at the first one in the name of a stream; write `_`, or one word";
        return Err(syn::Error::new(category.span(), wrong));
    }
    Ok(category)
}

/// `= 2`, a version of an event's payload.
pub(crate) fn version(meta: &ParseNestedMeta<'_>) -> Result<(LitInt, u16)> {
    let version: LitInt = meta.value()?.parse()?;
    match version.base10_parse() {
        Ok(number @ 1..) => Ok((version, number)),
        _ => Err(syn::Error::new(version.span(), "a version is a number from 1 to 65535")),
    }
}

/// Puts a value in its place, which must be empty.
pub(crate) fn set_once<T>(place: &mut Option<T>, value: T, meta: &ParseNestedMeta<'_>) -> Result<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(meta.error("this is said twice; remove one")),
    }
}
