//! A bank: `bank open alice`, `bank deposit alice 50`, `bank withdraw alice 20`, `bank list`.
#![expect(clippy::print_stdout, reason = "it is a command-line program")]

mod account;
mod balances;
#[cfg(test)]
mod tests;

use std::{error::Error, path::PathBuf};

use account::{Account, Deposit, Open, Refused, Withdraw};
use annalist::{App, Command, Decide, Store};
use balances::{BALANCES, Balances};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Keeps accounts.")]
struct Bank {
    /// Where the accounts are kept.
    #[arg(long, env = "BANK_DATA", default_value = "target/bank")]
    data: PathBuf,
    #[command(subcommand)]
    order: Order,
}

#[derive(Subcommand)]
enum Order {
    /// Opens an account.
    Open { account: String },
    /// Puts money into an account.
    Deposit { account: String, amount: u32 },
    /// Takes money out of an account.
    Withdraw { account: String, amount: u32 },
    /// Tells what an account holds.
    Balance { account: String },
    /// Lists all accounts.
    List,
}

#[tokio::main]
async fn main() -> Result<(), String> {
    run(Bank::parse()).await.map_err(|error| error.to_string())
}

async fn run(bank: Bank) -> Result<(), Box<dyn Error>> {
    let app = App::open(Store::embedded(&bank.data)?).projection(Balances).start().await?;
    let served = serve(&app, bank.order).await;
    app.shutdown().await?;
    served
}

async fn serve(app: &App, order: Order) -> Result<(), Box<dyn Error>> {
    let view = app.view::<Balances>()?.after(app.head().await?); // it waits until it has seen all that is recorded
    match order {
        Order::Open { account } => tell(app, account, Open).await?,
        Order::Deposit { account, amount } => tell(app, account, Deposit(amount)).await?,
        Order::Withdraw { account, amount } => tell(app, account, Withdraw(amount)).await?,
        Order::Balance { account } => {
            println!("{account} has {}", view.get(&BALANCES, &account).await?.ok_or(Refused::NotOpen)?);
        }
        Order::List => {
            for (account, balance) in view.scan(&BALANCES).await? {
                println!("{account} has {balance}");
            }
        }
    }
    Ok(())
}

async fn tell<C: Command>(app: &App, account: String, command: C) -> Result<(), Box<dyn Error>>
where
    Account: Decide<C, Rejection = Refused, Reply = u64>,
{
    println!("{account} has {}", app.on::<Account>(account.clone()).execute(command).await?.reply);
    Ok(())
}
