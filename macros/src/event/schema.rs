//! The description of an event as data: what `events.lock` and documents say of it.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Attribute, Expr, ExprLit, Ident, Lit, Meta, Token, Type, ext::IdentExt, punctuated::Punctuated};

use super::{Event, Field, Payload, is_option};

/// The value of an `EventSchema`.
pub(super) fn event(event: &Event<'_>) -> TokenStream {
    let Event { name, version, upcasts, payload, .. } = event;
    let mut upcasts: Vec<u16> = upcasts.iter().map(|upcast| upcast.version).collect();
    upcasts.sort_unstable();
    let tagged = |fields: &[&Field<'_>]| fields.iter().filter_map(|field| field.tag.clone()).collect::<Vec<_>>();
    let (payload, tags) = match payload {
        Payload::Unit => (quote!(Fields(&[])), Vec::new()),
        Payload::Value(value) => {
            let ty = text_of(value.ty, &Serde::read(&value.kept));
            (quote!(Value(#ty)), tagged(&[value]))
        }
        Payload::Fields(fields) => {
            let written = fields.iter().filter_map(|(ident, each)| field(ident, each));
            let tags = tagged(&fields.iter().map(|(_, field)| field).collect::<Vec<_>>());
            (quote!(Fields(&[#(#written),*])), tags)
        }
    };
    quote! {
        ::annalist::evolution::EventSchema {
            name: #name,
            version: #version,
            upcasts: &[#(#upcasts),*],
            payload: ::annalist::evolution::PayloadSchema::#payload,
            tags: &[#(#tags),*],
        }
    }
}

/// The value of a `FieldSchema`; nothing for a field that is not in the JSON.
fn field(ident: &Ident, field: &Field<'_>) -> Option<TokenStream> {
    let serde = Serde::read(&field.kept);
    if serde.skipped {
        return None;
    }
    let ty = text_of(field.ty, &serde);
    // serde takes a missing `Option` for `None` only where it reads the field itself.
    let optional = serde.has_default || (is_option(field.ty) && !serde.is_read_otherwise);
    let name = serde.name.unwrap_or_else(|| ident.unraw().to_string());
    Some(quote!(::annalist::evolution::FieldSchema { name: #name, ty: #ty, optional: #optional }))
}

/// What serde is told about a field, as far as it changes the JSON.
#[derive(Default)]
struct Serde {
    name: Option<String>,
    skipped: bool,
    has_default: bool,
    /// Not as a field of its own, or by another function than its type's.
    is_read_otherwise: bool,
    /// `with = "iso"` and the like.
    form: Vec<String>,
}

impl Serde {
    /// What cannot be understood is left to serde's own derive, which reads the same attributes and says what is wrong.
    fn read(attributes: &[&Attribute]) -> Self {
        let mut serde = Self::default();
        for attribute in attributes {
            let metas = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
            metas.into_iter().flatten().for_each(|meta| serde.take(&meta));
        }
        serde
    }

    fn take(&mut self, meta: &Meta) {
        let Some(what) = meta.path().get_ident().map(ToString::to_string) else { return };
        match (what.as_str(), meta) {
            ("rename", Meta::List(list)) => {
                let metas = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
                let written = metas.into_iter().flatten().find(|meta| meta.path().is_ident("serialize"));
                self.name = written.as_ref().and_then(text);
            }
            ("rename", _) => self.name = text(meta),
            ("skip" | "skip_serializing", _) => self.skipped = true,
            ("default" | "skip_deserializing", _) => self.has_default = true,
            ("flatten", _) => {
                self.is_read_otherwise = true;
                self.form.push(what);
            }
            ("with" | "serialize_with" | "deserialize_with", _) => {
                self.is_read_otherwise |= what != "serialize_with";
                self.form.extend(text(meta).map(|path| format!("{what} = {path}")));
            }
            _ => {}
        }
    }
}

/// The text in `name = "text"`.
fn text(meta: &Meta) -> Option<String> {
    match &meta.require_name_value().ok()?.value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}

/// The type as it is written, and behind it what serde is told about its form.
fn text_of(ty: &Type, serde: &Serde) -> String {
    let text = type_text(ty);
    if serde.form.is_empty() { text } else { format!("{text} ({})", serde.form.join(", ")) }
}

/// The text of a type. The compiler's own way to print one changes from time to time, and a lock must not.
fn type_text(ty: &Type) -> String {
    let mut text = String::new();
    write(ty.to_token_stream(), &mut text);
    text
}

fn write(tokens: TokenStream, text: &mut String) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                write(group.stream(), text);
                text.push_str(close);
            }
            TokenTree::Punct(punct) => match punct.as_char() {
                char @ (',' | ';') => text.extend([char, ' ']),
                char @ ('+' | '=') => text.extend([' ', char, ' ']),
                char => text.push(char),
            },
            word @ (TokenTree::Ident(_) | TokenTree::Literal(_)) => {
                if text.ends_with(|before: char| before.is_alphanumeric() || before == '_') {
                    text.push(' ');
                }
                text.push_str(&word.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn types_are_written_as_one_writes_them() {
        let types: [(Type, &str); 6] = [
            (parse_quote!(Option<Vec<u8>>), "Option<Vec<u8>>"),
            (
                parse_quote!(std::collections::BTreeMap<String, (u8, i64)>),
                "std::collections::BTreeMap<String, (u8, i64)>",
            ),
            (parse_quote!([u8; 32]), "[u8; 32]"),
            (parse_quote!(Cow<'static, str>), "Cow<'static, str>"),
            (parse_quote!(&'static str), "&'static str"),
            (parse_quote!(Box<dyn Money + Send>), "Box<dyn Money + Send>"),
        ];
        for (ty, expected) in types {
            assert_eq!(type_text(&ty), expected);
        }
    }

    fn read(field: &syn::Field) -> Serde {
        Serde::read(&field.attrs.iter().collect::<Vec<_>>())
    }

    #[test]
    fn what_serde_is_told_is_understood() {
        let serde = read(&parse_quote!(#[serde(rename = "a", default)] x: u8));
        assert_eq!((serde.name.as_deref(), serde.has_default, serde.skipped), (Some("a"), true, false));
        let serde = read(&parse_quote!(#[serde(rename(serialize = "b", deserialize = "c"))] x: u8));
        assert_eq!((serde.name.as_deref(), serde.has_default), (Some("b"), false));
        let field: syn::Field =
            parse_quote!(#[serde(with = "iso", skip_serializing_if = "Option::is_none")] x: Option<Date>);
        let serde = read(&field);
        assert!(serde.is_read_otherwise);
        assert_eq!(text_of(&field.ty, &serde), "Option<Date> (with = iso)");
        assert!(read(&parse_quote!(#[serde(skip)] x: u8)).skipped);
    }
}
