//! From the description to the implementation.
//!
//! Everything stands in a block of its own, so that the payload structs have no names outside of it.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{Ident, spanned::Spanned};

use super::{Event, EventSet, Field, Payload, Upcast, is_option, schema};

pub(super) fn event_set(set: &EventSet<'_>) -> TokenStream {
    let EventSet { ident, category, events } = set;
    let types = events.iter().map(|Event { name, version, .. }| quote!((#name, #version)));
    let event_types =
        events.iter().map(|Event { ident, name, version, .. }| quote!(Self::#ident { .. } => (#name, #version)));
    let payload_types = events.iter().map(payload_types);
    let tags = events.iter().map(tags);
    let encode = events.iter().map(encode);
    let decode = events.iter().map(|event| decode(ident, event));
    let schemas = events.iter().map(schema::event);
    // An enum without variants has nothing to match on by reference.
    let this = if events.is_empty() { quote!(*self) } else { quote!(self) };
    quote! {
        const _: () = {
            use ::annalist::__private;

            #(#payload_types)*

            #[automatically_derived]
            impl ::annalist::EventSet for #ident {
                const CATEGORY: &'static str = #category;
                const TYPES: &'static [(&'static str, u16)] = &[#(#types),*];
                const SCHEMA: &'static [::annalist::evolution::EventSchema] = &[#(#schemas),*];

                fn event_type(&self) -> (&'static str, u16) {
                    match #this { #(#event_types,)* }
                }

                fn tags(
                    &self,
                ) -> ::core::result::Result<::std::vec::Vec<__private::Tag>, ::annalist::EncodeError> {
                    match #this { #(#tags,)* }
                }

                fn encode(&self) -> ::core::result::Result<__private::Bytes, ::annalist::EncodeError> {
                    match #this { #(#encode,)* }
                }

                fn decode(
                    name: &str,
                    version: u16,
                    payload: &[u8],
                ) -> ::core::result::Result<Self, ::annalist::DecodeError> {
                    match (name, version) {
                        #(#decode)*
                        _ => ::core::result::Result::Err(__private::undeclared::<Self>(name, version)),
                    }
                }
            }
        };
    }
}

fn lent(event: &Ident) -> Ident {
    format_ident!("{event}Lent")
}

fn owned(event: &Ident) -> Ident {
    format_ident!("{event}Owned")
}

/// The structs through which named fields are written (lent) and read (owned).
fn payload_types(event: &Event<'_>) -> TokenStream {
    let Payload::Fields(fields) = &event.payload else { return TokenStream::new() };
    let (lent, owned) = (lent(event.ident), owned(event.ident));
    let lifetime = (!fields.is_empty()).then(|| quote!(<'payload>));
    let lent_fields = fields.iter().map(|(ident, Field { ty, kept, .. })| quote!(#(#kept)* #ident: &'payload #ty));
    let owned_fields = fields.iter().map(|(ident, Field { ty, kept, .. })| quote!(#(#kept)* #ident: #ty));
    quote! {
        #[derive(__private::serde::Serialize)]
        #[serde(crate = "::annalist::__private::serde")]
        #[allow(dead_code, reason = "a field that serde skips is not read")]
        struct #lent #lifetime { #(#lent_fields,)* }

        #[derive(__private::serde::Deserialize)]
        #[serde(crate = "::annalist::__private::serde")]
        struct #owned { #(#owned_fields,)* }
    }
}

fn encode(event: &Event<'_>) -> TokenStream {
    let Event { ident, name, .. } = event;
    match &event.payload {
        Payload::Unit => quote!(Self::#ident => __private::encode(#name, &__private::Nothing {})),
        Payload::Value(_) => quote!(Self::#ident(value) => __private::encode(#name, value)),
        Payload::Fields(fields) => {
            let lent = lent(ident);
            let fields: Vec<_> = fields.iter().map(|(ident, _)| ident).collect();
            quote!(Self::#ident { #(#fields,)* } => __private::encode(#name, &#lent { #(#fields,)* }))
        }
    }
}

fn decode(set: &Ident, event: &Event<'_>) -> TokenStream {
    let Event { ident, name, version, upcasts, .. } = event;
    let (read, build) = match &event.payload {
        Payload::Unit => (quote!(__private::Nothing), quote!(|_| Self::#ident)),
        Payload::Value(Field { ty, .. }) => (quote!(#ty), quote!(Self::#ident)),
        Payload::Fields(fields) => {
            let owned = owned(ident);
            let fields: Vec<_> = fields.iter().map(|(ident, _)| ident).collect();
            (quote!(#owned), quote!(|#owned { #(#fields,)* }| Self::#ident { #(#fields,)* }))
        }
    };
    let old = upcasts.iter().map(|upcast| {
        let Upcast { version: old, from, through } = upcast;
        // What is missing, `From` or `Deserialize`, is to be shown at the name of the type that it is missing of.
        let mut shape = from;
        let mut steps = Vec::new();
        for next in through {
            steps.push(quote_spanned!(next.span()=> .map(<#next as ::core::convert::From<#shape>>::from)));
            shape = next;
        }
        steps.push(quote_spanned!(shape.span()=> .map(<#set as ::core::convert::From<#shape>>::from)));
        let decode = quote_spanned!(from.span()=> __private::decode::<#from>(#name, #old, payload));
        quote!((#name, #old) => #decode #(#steps)*,)
    });
    quote! {
        (#name, #version) => __private::decode::<#read>(#name, #version, payload).map(#build),
        #(#old)*
    }
}

fn tags(event: &Event<'_>) -> TokenStream {
    let ident = event.ident;
    let (pattern, tagged): (_, Vec<(Ident, &Field<'_>)>) = match &event.payload {
        Payload::Unit => (quote!(), Vec::new()),
        Payload::Value(field) => {
            let value = format_ident!("value");
            if field.tag.is_some() { (quote!((value)), vec![(value, field)]) } else { (quote!((_)), Vec::new()) }
        }
        Payload::Fields(fields) => {
            let tagged = fields.iter().filter(|(_, field)| field.tag.is_some());
            let tagged: Vec<_> = tagged.map(|(ident, field)| ((*ident).clone(), field)).collect();
            let idents = tagged.iter().map(|(ident, _)| ident);
            (quote!({ #(#idents,)* .. }), tagged)
        }
    };
    let pushes = tagged.iter().map(|(ident, Field { ty, tag, .. })| {
        let push = quote_spanned!(ty.span()=> tags.push(__private::tag(#tag, value)?););
        if is_option(ty) {
            quote!(if let ::core::option::Option::Some(value) = #ident { #push })
        } else {
            quote!({ let value = #ident; #push })
        }
    });
    if tagged.is_empty() {
        return quote!(Self::#ident #pattern => ::core::result::Result::Ok(::std::vec::Vec::new()));
    }
    quote! {
        Self::#ident #pattern => {
            let mut tags = ::std::vec::Vec::new();
            #(#pushes)*
            ::core::result::Result::Ok(tags)
        }
    }
}
