//! How old versions are read: `upcast(version = 1, from = V1, via = V2)`.

use quote::ToTokens;
use syn::{Error, LitInt, Result, Token, Type, meta::ParseNestedMeta, spanned::Spanned};

use super::Upcast;
use crate::attributes::{self, set_once};

/// An upcast as it is written, its version perhaps left to be understood.
pub(super) struct Written {
    version: Option<(LitInt, u16)>,
    from: Type,
    via: Option<Type>,
}

pub(super) fn written(meta: &ParseNestedMeta<'_>) -> Result<Written> {
    let (mut version, mut from, mut via) = (None, None, None);
    meta.parse_nested_meta(|meta| {
        if meta.path.is_ident("version") {
            return set_once(&mut version, attributes::version(&meta)?, &meta);
        }
        let place = if meta.path.is_ident("from") {
            &mut from
        } else if meta.path.is_ident("via") {
            &mut via
        } else {
            let wrong = "unknown; write upcast(from = Old), or upcast(version = 1, from = Old, via = LessOld)";
            return Err(meta.error(wrong));
        };
        meta.input.parse::<Token![=]>()?;
        set_once(place, meta.input.parse()?, &meta)
    })?;
    let from = from.ok_or_else(|| meta.error("say which type has the old shape: upcast(from = DepositedV1)"))?;
    Ok(Written { version, from, via })
}

pub(super) fn checked(current: u16, written: &[Written]) -> Result<Vec<Upcast>> {
    let mut versions = Vec::new();
    for Written { version, from, .. } in written {
        let (span, version) =
            version.as_ref().map_or((from.span(), current - 1), |(at, version)| (at.span(), *version));
        if current == 1 {
            return Err(Error::new(span, "version 1 has no older one; say `version = 2` beside `name`"));
        }
        if version >= current {
            let wrong = format!("an upcast reads an older version than the current one, which is {current}");
            return Err(Error::new(span, wrong));
        }
        if versions.contains(&version) {
            return Err(Error::new(span, format!("there is another upcast from version {version}")));
        }
        versions.push(version);
    }
    let all: Vec<(u16, &Written)> = versions.into_iter().zip(written).collect();
    all.iter()
        .map(|&(version, one)| Ok(Upcast { version, from: one.from.clone(), through: through(version, one, &all)? }))
        .collect()
}

/// The shapes between an old one and the enum. It ends: each is newer than the one before.
fn through(version: u16, first: &Written, all: &[(u16, &Written)]) -> Result<Vec<Type>> {
    let (mut at, mut via, mut shapes) = (version, first.via.as_ref(), Vec::new());
    while let Some(next) = via {
        let name = next.to_token_stream().to_string();
        let Some((newer, step)) = all.iter().find(|(_, other)| other.from.to_token_stream().to_string() == name) else {
            let wrong = format!(
                "`via` names the shape of a newer version, which needs an upcast of its own: upcast(from = {name})"
            );
            return Err(Error::new(next.span(), wrong));
        };
        if *newer <= at {
            let wrong = format!("`via` leads from old to new, but {name} is version {newer}, and this one {at}");
            return Err(Error::new(next.span(), wrong));
        }
        shapes.push(next.clone());
        (at, via) = (*newer, step.via.as_ref());
    }
    Ok(shapes)
}
