//! The derives of Annalist. They write what can also be written by hand: implementations of `EventSet` and `Command`.
//!
//! Use them through the crate `annalist`, which re-exports them beside the traits.

mod attributes;
mod command;
mod event;
mod events;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `EventSet` for an enum: one variant for each thing that can happen.
///
/// The names that stand in the log are declared, and Rust's names do not matter. Variants are units, have named fields,
/// or hold one value. Payloads are JSON; `#[serde(...)]` attributes of fields are kept.
///
/// ```
/// # use annalist::{Event, EventSet};
/// # use serde::Deserialize;
/// #[derive(Event, Clone, Debug, PartialEq)]
/// #[event(category = "account")]                   // streams are called account-...
/// enum AccountEvent {
///     #[event(name = "account-closed")]
///     Closed,
///     #[event(name = "money-deposited", version = 3,
///             upcast(version = 1, from = DepositedV1, via = DepositedV2),    // From<DepositedV1> for DepositedV2
///             upcast(from = DepositedV2))]         // without a version: the one before the current
///     Deposited {
///         #[event(tag)]                            // the event is found under `transfer:...`; not at all for None
///         transfer: Option<u64>,
///         #[event(tag = "customer")]               // `customer:...`
///         by: String,
///         cents: u64,
///     },
/// }
///
/// #[derive(Deserialize)]
/// struct DepositedV1 { dollars: u64 }
///
/// #[derive(Deserialize)]
/// struct DepositedV2 { cents: u64 }
///
/// impl From<DepositedV1> for DepositedV2 {         // each step is written once, however many come behind it
///     fn from(old: DepositedV1) -> Self {
///         Self { cents: old.dollars * 100 }
///     }
/// }
///
/// impl From<DepositedV2> for AccountEvent {
///     fn from(old: DepositedV2) -> Self {
///         Self::Deposited { transfer: None, by: String::new(), cents: old.cents }
///     }
/// }
/// # let old = AccountEvent::decode("money-deposited", 1, br#"{"dollars":2}"#);
/// # assert_eq!(old, Ok(AccountEvent::Deposited { transfer: None, by: String::new(), cents: 200 }));
/// ```
#[proc_macro_derive(Event, attributes(event, serde))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    event::derive(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Implements `Events` for an enum whose variants each hold the events of one category, and `From` for each of those.
///
/// ```
/// # use annalist::{Event, Events};
/// # #[derive(Event, Clone, Debug)]
/// # #[event(category = "account")]
/// # enum AccountEvent { #[event(name = "account-opened")] Opened }
/// # #[derive(Event, Clone, Debug)]
/// # #[event(category = "transfer")]
/// # enum TransferEvent { #[event(name = "transfer-requested")] Requested { cents: u64 } }
/// #[derive(Events, Clone, Debug)]
/// enum BankEvent {
///     Account(AccountEvent),
///     Transfer(TransferEvent),
/// }
/// # assert!(matches!(BankEvent::from(AccountEvent::Opened), BankEvent::Account(AccountEvent::Opened)));
/// ```
#[proc_macro_derive(Events)]
pub fn derive_events(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    events::derive(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Implements `Command` for a type that is `Serialize` and `Deserialize`.
///
/// ```
/// # use annalist::Command;
/// #[derive(Command, serde::Serialize, serde::Deserialize)]
/// #[command(name = "withdraw")]
/// struct Withdraw { cents: u64 }
/// # assert_eq!(Withdraw::NAME, "withdraw");
/// ```
#[proc_macro_derive(Command, attributes(command))]
pub fn derive_command(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    command::derive(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
