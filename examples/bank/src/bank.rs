//! The wiring, the one place that names everything, and what the bank does for its customers.

use std::{error::Error, path::Path, time::Duration};

use annalist::{App, AppBuilder, Cursor, ExecuteError, SnapshotPolicy, Store, saga::SagaError, stream_of};
use annalist_sql::Sqlite;

use crate::{
    domain::{
        Account, Deposit, LARGE, LargeWithdrawals, LimitRefused, Open, Refused, RequestTransfer, Transfer, Transfers,
        Withdraw, WithdrawLarge,
    },
    views::{BALANCES, Balances, Entry, Holding, Statement, statement_of},
};

/// What can go wrong, for people.
pub type Failure = Box<dyn Error + Send + Sync>;

/// How long the bank waits for a view or a transfer before it says that it is not there yet.
const PATIENCE: Duration = Duration::from_secs(5);

/// Events that cannot be shown, of all accounts, that the bank looks through.
const PARKED_MAX: usize = 1_000;

/// How a transfer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The money is there.
    Completed,
    /// The money is where it was.
    Failed(String),
    /// It waits for the other account.
    UnderWay,
}

/// A running bank.
#[derive(Debug)]
pub struct Bank {
    app: App,
    statement: Sqlite,
}

impl Bank {
    /// Everything that the app consists of, but for where it is kept.
    pub fn wiring(store: Store, statement: Sqlite) -> AppBuilder {
        App::open(store)
            .command::<Account, Open>()
            .command::<Transfer, RequestTransfer>()
            .scope::<LargeWithdrawals, WithdrawLarge>()
            .saga::<Transfers>()
            .snapshots::<Account>(SnapshotPolicy::every(100))
            .projection(Balances)
            .projection_with(Statement, statement)
    }

    /// The bank in a folder.
    ///
    /// # Errors
    /// When something of it does not open.
    pub async fn open(data: &Path) -> Result<Self, Failure> {
        Self::on(Store::embedded(data)?, data).await
    }

    /// The bank on any store; the statement is kept in a folder.
    ///
    /// # Errors
    /// As [`Bank::open`].
    pub async fn on(store: Store, data: &Path) -> Result<Self, Failure> {
        let statement = Sqlite::open::<Statement>(data.join("statement"), Statement::TABLES).await?;
        let app = Self::wiring(store, statement.clone()).start().await?;
        Ok(Self { app, statement })
    }

    /// The app behind it.
    #[must_use]
    pub const fn app(&self) -> &App {
        &self.app
    }

    /// Opens an account; returns what it holds.
    ///
    /// # Errors
    /// When it is open already.
    pub async fn open_account(&self, account: &str, owner: &str) -> Result<u64, Failure> {
        let open = Open { owner: owner.to_owned() };
        Ok(self.app.on::<Account>(account.to_owned()).execute(open).await?.reply)
    }

    /// Puts money into an account; returns what it holds.
    ///
    /// # Errors
    /// When there is no such account.
    pub async fn deposit(&self, account: &str, amount: u64) -> Result<u64, Failure> {
        let deposit = Deposit { amount, transfer: None };
        Ok(self.app.on::<Account>(account.to_owned()).execute(deposit).await?.reply)
    }

    /// Takes money out of an account; returns what is left. A large amount is decided about by the owner's limit.
    ///
    /// # Errors
    /// When the account does not hold as much, or the limit is reached.
    pub async fn withdraw(&self, account: &str, amount: u64) -> Result<u64, Failure> {
        if amount < LARGE {
            let withdraw = Withdraw { amount, transfer: None };
            return Ok(self.app.on::<Account>(account.to_owned()).execute(withdraw).await?.reply);
        }
        let owner = self.app.load::<Account>(&account.to_owned()).await?.state.owner.ok_or(Refused::NotOpen)?;
        let withdraw = WithdrawLarge { account: account.to_owned(), owner, amount };
        match self.app.scope::<LargeWithdrawals>().execute(withdraw).await {
            Err(ExecuteError::Rejected(LimitRefused::Account(refused))) => Err(refused.into()),
            done => Ok(done?.reply),
        }
    }

    /// Asks for a transfer, once for each id, and waits a while for it to be carried out.
    ///
    /// # Errors
    /// When it cannot be asked for.
    pub async fn transfer(&self, id: &str, from: &str, to: &str, amount: u64) -> Result<Outcome, Failure> {
        let request = RequestTransfer { from: from.to_owned(), to: to.to_owned(), amount };
        self.app.on::<Transfer>(id.to_owned()).execute(request).key(id).await?;
        match self.app.saga::<Transfers>()?.ended(id, PATIENCE).await {
            Ok(_) | Err(SagaError::UnderWay { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(match self.app.load::<Transfer>(&id.to_owned()).await?.state.outcome {
            Some(Ok(())) => Outcome::Completed,
            Some(Err(reason)) => Outcome::Failed(reason),
            None => Outcome::UnderWay,
        })
    }

    /// What an account holds, as of now.
    ///
    /// # Errors
    /// When there is no such account.
    pub async fn balance(&self, account: &str) -> Result<Holding, Failure> {
        let view = self.app.view::<Balances>()?.after(self.now().await?);
        Ok(view.get(&BALANCES, &account.to_owned()).await?.ok_or(Refused::NotOpen)?)
    }

    /// What each account holds, as of now.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub async fn balances(&self) -> Result<Vec<(String, Holding)>, Failure> {
        let view = self.app.view::<Balances>()?.after(self.now().await?);
        Ok(view.scan(&BALANCES).await?)
    }

    /// The statement of an account, as of now.
    ///
    /// # Errors
    /// When the database cannot be read, or something of the account cannot be shown.
    pub async fn statement(&self, account: &str) -> Result<Vec<Entry>, Failure> {
        self.app.projections().reached::<Statement>(self.now().await?, PATIENCE).await?;
        let stream = stream_of::<Account>(&account.to_owned())?;
        let parked = self.app.projections().of::<Statement>()?.parked(None, PARKED_MAX).await?;
        if let Some(parked) = parked.iter().find(|parked| parked.key == stream.as_str()) {
            let why = parked.error.as_deref().unwrap_or("something before it");
            return Err(format!("the statement of {account} ends before event {}: {why}", parked.position).into());
        }
        Ok(statement_of(&self.statement, account).await?)
    }

    async fn now(&self) -> Result<Cursor, Failure> {
        Ok(self.app.head().await?)
    }

    /// Ends all of it.
    ///
    /// # Errors
    /// When the store does not close as it should.
    pub async fn close(self) -> Result<(), Failure> {
        Ok(self.app.shutdown().await?)
    }
}
