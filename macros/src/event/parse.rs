//! From the enum to its description.

use std::collections::HashSet;

use syn::{
    Attribute, Data, DeriveInput, Error, Fields, LitStr, Result, Token, Variant, ext::IdentExt, spanned::Spanned,
};

use super::{Event, EventSet, Field, Payload, upcasts};
use crate::attributes::{self, set_once};

pub(super) fn event_set(input: &DeriveInput) -> Result<EventSet<'_>> {
    let Data::Enum(data) = &input.data else {
        let wrong = "events are an enum, with one variant for each thing that can happen";
        return Err(Error::new(input.ident.span(), wrong));
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new(input.generics.span(), "events are stored for ever, so their type cannot be generic"));
    }
    let mut errors = Errors::default();
    let category = errors.take(category(input));
    let events: Vec<_> = data.variants.iter().filter_map(|variant| errors.take(event(variant))).collect();
    let mut names = HashSet::new();
    for Event { name, .. } in &events {
        if !names.insert(name.value()) {
            errors.add(Error::new(name.span(), "another variant has this name; each needs its own"));
        }
    }
    match (category, errors.all) {
        (Some(category), None) => Ok(EventSet { ident: &input.ident, category, events }),
        (_, Some(errors)) => Err(errors),
        (None, None) => Err(Error::new(input.ident.span(), "the category is missing")),
    }
}

/// All errors at once, so that they can be mended at once.
#[derive(Default)]
struct Errors {
    all: Option<Error>,
}

impl Errors {
    fn take<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    fn add(&mut self, error: Error) {
        match &mut self.all {
            Some(all) => all.combine(error),
            none => *none = Some(error),
        }
    }
}

fn ours(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("event"))
}

fn category(input: &DeriveInput) -> Result<LitStr> {
    let mut category = None;
    for attribute in ours(&input.attrs) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("category") {
                return Err(meta.error("unknown; events have a category: #[event(category = \"account\")]"));
            }
            set_once(&mut category, attributes::category(&meta)?, &meta)
        })?;
    }
    let missing = "say which streams the events belong to: #[event(category = \"account\")]";
    category.ok_or_else(|| Error::new(input.ident.span(), missing))
}

fn event(variant: &Variant) -> Result<Event<'_>> {
    let (mut name, mut version, mut old) = (None, None, Vec::new());
    for attribute in ours(&variant.attrs) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                set_once(&mut name, attributes::name(&meta)?, &meta)
            } else if meta.path.is_ident("version") {
                set_once(&mut version, attributes::version(&meta)?.1, &meta)
            } else if meta.path.is_ident("upcast") {
                old.push(upcasts::written(&meta)?);
                Ok(())
            } else {
                Err(meta.error("unknown; an event has `name = \"...\"`, `version = 2` and `upcast(from = Old)`"))
            }
        })?;
    }
    let missing = "say under which name the event is recorded: #[event(name = \"money-deposited\")]";
    let name = name.ok_or_else(|| Error::new(variant.ident.span(), missing))?;
    let version = version.unwrap_or(1);
    let upcasts = upcasts::checked(version, &old)?;
    Ok(Event { ident: &variant.ident, name, version, upcasts, payload: payload(variant)? })
}

fn payload(variant: &Variant) -> Result<Payload<'_>> {
    match &variant.fields {
        Fields::Unit => Ok(Payload::Unit),
        Fields::Named(fields) => {
            let named = fields.named.iter().filter_map(|each| Some((each.ident.as_ref()?, each)));
            let fields = named.map(|(ident, each)| Ok((ident, field(each)?)));
            Ok(Payload::Fields(fields.collect::<Result<_>>()?))
        }
        Fields::Unnamed(fields) => match fields.unnamed.iter().collect::<Vec<_>>()[..] {
            [only] => Ok(Payload::Value(field(only)?)),
            _ => Err(Error::new(fields.span(), "give the fields names: they are the names in the recorded JSON")),
        },
    }
}

fn field(field: &syn::Field) -> Result<Field<'_>> {
    let kept = field.attrs.iter().filter(|attribute| attribute.path().is_ident("serde")).collect();
    Ok(Field { ty: &field.ty, kept, tag: tag(field)? })
}

/// The name of the tag: the one that is given, or the field's own.
fn tag(field: &syn::Field) -> Result<Option<String>> {
    let mut tag = None;
    for attribute in ours(&field.attrs) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("tag") {
                return Err(meta.error("unknown; a field can be a tag: #[event(tag)], or #[event(tag = \"customer\")]"));
            }
            let name = match &field.ident {
                _ if meta.input.peek(Token![=]) => attributes::name(&meta)?.value(),
                Some(ident) => ident.unraw().to_string(),
                None => return Err(meta.error("the field has no name, so name the tag: #[event(tag = \"customer\")]")),
            };
            set_once(&mut tag, name, &meta)
        })?;
    }
    Ok(tag)
}
