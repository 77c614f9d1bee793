//! `bank open alice`, `bank deposit alice 50`, `bank transfer rent alice bob 20`, `bank list`, `bank statement alice`.
#![expect(clippy::print_stdout, reason = "it is a command-line program")]

use std::path::PathBuf;

use annalist::Store;
use bank::{Bank, Failure, Outcome};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Keeps accounts.")]
struct Arguments {
    /// Where the accounts are kept.
    #[arg(long, env = "BANK_DATA", default_value = "target/bank")]
    data: PathBuf,
    /// The server that keeps the events, such as `http://127.0.0.1:2665`; by default they are kept with the accounts.
    #[arg(long, env = "BANK_SERVER")]
    server: Option<String>,
    #[command(subcommand)]
    order: Order,
}

#[derive(Subcommand)]
enum Order {
    /// Opens an account.
    Open {
        account: String,
        /// Whose it is; by default it bears the owner's name.
        #[arg(long)]
        owner: Option<String>,
    },
    /// Puts money into an account.
    Deposit { account: String, amount: u64 },
    /// Takes money out of an account.
    Withdraw { account: String, amount: u64 },
    /// Moves money from one account to another. The id makes it safe to ask again.
    Transfer { id: String, from: String, to: String, amount: u64 },
    /// Tells what an account holds.
    Balance { account: String },
    /// Lists all accounts.
    List,
    /// Lists what went into an account and out of it.
    Statement { account: String },
    /// Replays the log into new read models.
    Rebuild,
}

#[tokio::main]
async fn main() -> Result<(), String> {
    run(Arguments::parse()).await.map_err(|error| error.to_string())
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let bank = match &arguments.server {
        None => Bank::open(&arguments.data).await?,
        Some(address) => Bank::on(Store::remote(address)?, &arguments.data).await?,
    };
    let served = serve(&bank, arguments.order).await;
    bank.close().await?;
    served
}

async fn serve(bank: &Bank, order: Order) -> Result<(), Failure> {
    match order {
        Order::Open { account, owner } => {
            let balance = bank.open_account(&account, owner.as_ref().unwrap_or(&account)).await?;
            println!("{account} has {balance}");
        }
        Order::Deposit { account, amount } => println!("{account} has {}", bank.deposit(&account, amount).await?),
        Order::Withdraw { account, amount } => println!("{account} has {}", bank.withdraw(&account, amount).await?),
        Order::Transfer { id, from, to, amount } => match bank.transfer(&id, &from, &to, amount).await? {
            Outcome::Completed => println!("{id}: {to} has got {amount} from {from}"),
            Outcome::Failed(reason) => println!("{id}: failed, {from} keeps its money: {reason}"),
            Outcome::UnderWay => println!("{id}: under way; it goes on while the bank is open"),
        },
        Order::Balance { account } => println!("{account} has {}", bank.balance(&account).await?.balance),
        Order::List => {
            for (account, holding) in bank.balances().await? {
                println!("{account} has {}", holding.balance);
            }
        }
        Order::Statement { account } => {
            for entry in bank.statement(&account).await? {
                let transfer = entry.transfer.map(|id| format!(" ({id})")).unwrap_or_default();
                println!("{:+}{transfer}, then {account} had {}", entry.amount, entry.balance);
            }
        }
        Order::Rebuild => {
            let rebuilt = bank.app().projections().rebuild_by_name("balances").await?;
            println!("balances: {} events replayed", rebuilt.events);
            let rebuilt = bank.app().projections().rebuild_by_name("statement").await?;
            println!("statement: {} events replayed", rebuilt.events);
        }
    }
    Ok(())
}
