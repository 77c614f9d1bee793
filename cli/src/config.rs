//! `annalist config check`: what a server would be told, and by whom.

use annalist_server::Server;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    failure::{Done, Failure},
    output::Output,
};

/// The settings of a server
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    order: Order,
}

#[derive(Subcommand, Debug)]
enum Order {
    /// Prints what `serve` would use with the same flags, and where each value comes from; fails if it would not start
    Check(annalist_server::Arguments),
}

pub(crate) fn run(arguments: &Arguments, output: &mut Output) -> Result<Done, Failure> {
    let Order::Check(arguments) = &arguments.order;
    let configuration = arguments.configuration().map_err(|error| Failure::Configuration(error.to_string()))?;
    if output.json {
        for setting in configuration.settings() {
            let (value, origin) = (&setting.value, setting.origin.to_string());
            output.value(&json!({ "setting": setting.name, "value": value, "from": origin }))?;
        }
    } else {
        let rows = configuration.settings().iter().map(|setting| {
            let value = setting.value.clone().unwrap_or_else(|| "-".to_owned());
            [setting.name.to_owned(), value, setting.origin.to_string()]
        });
        output.table(["setting", "value", "from"], rows)?;
    }
    output.flush()?;
    Server::check(configuration.options()).map_err(|error| Failure::Configuration(error.to_string()))?;
    Ok(Done::Well)
}
