//! A member of a consumer group, as a program: for each event it prints when it had it, in microseconds, its stream and its
//! version, and then acknowledges it. Arguments: the address of a server, the group, the category.

use std::{
    io::{Write as _, stdout},
    time::SystemTime,
};

use annalist_client::{GroupOptions, RemoteStore};
use annalist_core::Query;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [address, group, category]: [String; 3] =
        std::env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "three arguments")?;
    let mut member = RemoteStore::connect(&address)?.group(&group, Query::category(category), &GroupOptions::default());
    loop {
        let delivery = member.next().await?;
        let event = delivery.event();
        writeln!(stdout(), "{} {} {}", micros()?, event.stream(), event.version.get())?;
        stdout().flush()?;
        delivery.ack().await;
    }
}

#[expect(clippy::disallowed_methods, reason = "what several processes print is put in order by it")]
fn micros() -> Result<u128, std::time::SystemTimeError> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_micros())
}
