//! `#[derive(Command)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error, Result};

use crate::attributes;

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let mut name = None;
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("command")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("name") {
                return Err(meta.error("unknown; a command has a name: #[command(name = \"withdraw\")]"));
            }
            attributes::set_once(&mut name, attributes::name(&meta)?, &meta)
        })?;
    }
    let Some(name) = name else {
        return Err(Error::new(input.ident.span(), "give the command a name: #[command(name = \"withdraw\")]"));
    };
    let ident = &input.ident;
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics ::annalist::Command for #ident #type_generics #where_clause {
            const NAME: &'static str = #name;
        }
    })
}
