//! `#[derive(Events)]`.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::{Data, DeriveInput, Error, Fields, Ident, Result, Type, Variant, spanned::Spanned};

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let ident = &input.ident;
    let Data::Enum(data) = &input.data else {
        return Err(Error::new(
            ident.span(),
            "write an enum with a variant for each category: `Account(AccountEvent)`",
        ));
    };
    if let Some(parameter) = input.generics.params.first() {
        return Err(Error::new(parameter.span(), "events have no type parameters: remove them"));
    }
    if data.variants.is_empty() {
        return Err(Error::new(ident.span(), "add a variant for each category: `Account(AccountEvent)`"));
    }
    let sets = data.variants.iter().map(set).collect::<Result<Vec<_>>>()?;
    // What a variant's type lacks is shown at the type.
    let declared = sets
        .iter()
        .map(|(_, ty)| quote_spanned!(ty.span()=> declared.extend(<#ty as ::annalist::Events>::declared());));
    let read = sets.iter().map(|(variant, ty)| {
        quote_spanned! {ty.span()=>
            if let ::core::option::Option::Some(event) = <#ty as ::annalist::Events>::read(record)? {
                return ::core::result::Result::Ok(::core::option::Option::Some(Self::#variant(event)));
            }
        }
    });
    let write = sets.iter().map(
        |(variant, ty)| quote_spanned!(ty.span()=> Self::#variant(event) => <#ty as ::annalist::Events>::write(event),),
    );
    let stream = sets.iter().map(|(variant, ty)| {
        quote_spanned!(ty.span()=> Self::#variant(event) => <#ty as ::annalist::Events>::stream(event),)
    });
    let from = sets.iter().map(|(variant, ty)| {
        quote_spanned! {ty.span()=>
            #[automatically_derived]
            impl ::core::convert::From<#ty> for #ident {
                fn from(event: #ty) -> Self {
                    Self::#variant(event)
                }
            }
        }
    });
    Ok(quote_spanned! {ident.span()=>
        #[automatically_derived]
        impl ::annalist::Events for #ident {
            fn declared() -> ::std::vec::Vec<::annalist::Declared> {
                let mut declared = ::std::vec::Vec::new();
                #(#declared)*
                declared
            }

            fn read(
                record: &::annalist::RecordedEvent,
            ) -> ::core::result::Result<::core::option::Option<Self>, ::annalist::DecodeError> {
                #(#read)*
                ::core::result::Result::Ok(::core::option::Option::None)
            }

            fn write(&self) -> ::core::result::Result<::annalist::Written, ::annalist::EncodeError> {
                match self { #(#write)* }
            }

            fn stream(&self) -> ::core::option::Option<&::annalist::StreamId> {
                match self { #(#stream)* }
            }
        }

        #(#from)*
    })
}

/// The name of a variant and the events that it holds.
fn set(variant: &Variant) -> Result<(&Ident, &Type)> {
    match &variant.fields {
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => match fields.unnamed.first() {
            Some(field) => Ok((&variant.ident, &field.ty)),
            None => Err(wrong(variant)),
        },
        _ => Err(wrong(variant)),
    }
}

fn wrong(variant: &Variant) -> Error {
    Error::new(variant.span(), "a variant holds the events of one category and nothing else: `Account(AccountEvent)`")
}
