use annalist::Command;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
struct Unnamed;

#[derive(Command, Serialize, Deserialize)]
#[command(title = "withdraw")]
struct Misspelt;

fn main() {}
