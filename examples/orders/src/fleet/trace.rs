//! `orders trace`: what became of one request in all services.

use std::{error::Error, fmt::Write};

use annalist_service::outbound::{Clients, OutboundClient};

use super::{FleetError, client};
use crate::services::kit::Traced;

/// What these services have recorded under a correlation id, in the order of their clocks.
///
/// # Errors
/// [`FleetError`] when one of them does not answer: the rest would look like the whole.
pub async fn trace(services: &[OutboundClient], id: &str) -> Result<Vec<Traced>, FleetError> {
    let mut all = Vec::<Traced>::new();
    for service in services {
        all.append(&mut client::read(service, &format!("/trace/{id}")).await?);
    }
    all.sort_by(|one, other| one.time.cmp(&other.time));
    Ok(all)
}

/// The same, for people, from services at these addresses.
///
/// # Errors
/// As [`trace`]; or when an address is none.
pub async fn run_trace(addresses: &[String], id: &str) -> Result<String, Box<dyn Error>> {
    let clients = Clients::default();
    let services = addresses.iter().map(|address| client::client(&clients, address, address));
    let traced = trace(&services.collect::<Result<Vec<_>, _>>()?, id).await?;
    let mut told = String::new();
    for Traced { time, service, event, stream, position, .. } in &traced {
        writeln!(told, "{time}  {service:<10} {event:<24} {stream}, position {position}")?;
    }
    write!(told, "{} events with the correlation id {id}", traced.len())?;
    Ok(told)
}
