//! What the two kinds of database do for a test.

use annalist_core::EventId;
use sqlx::{AssertSqlSafe, Connection, Database, PgConnection, SqliteConnection, Transaction, pool::PoolOptions};

/// Every row of every table: the table, and the row as text.
pub(super) type Rows = Vec<(String, String)>;

type Options<DB> = <<DB as Database>::Connection as Connection>::Options;

/// A kind of database that projections can be tested in.
pub trait Kit: Database {
    /// A transaction in which the tables are made.
    fn begin(
        options: &Options<Self>,
        tables: &'static str,
    ) -> impl Future<Output = Result<Transaction<'static, Self>, sqlx::Error>>;

    /// All rows that were written, in an order that depends on nothing else.
    fn rows(connection: &mut Self::Connection) -> impl Future<Output = Result<Rows, sqlx::Error>>;
}

/// A transaction on a connection that is nobody else's.
async fn alone<DB: Database>(options: &Options<DB>) -> Result<Transaction<'static, DB>, sqlx::Error> {
    PoolOptions::<DB>::new().max_connections(1).connect_lazy_with(options.clone()).begin().await
}

impl Kit for sqlx::Sqlite {
    async fn begin(options: &Options<Self>, tables: &'static str) -> Result<Transaction<'static, Self>, sqlx::Error> {
        let mut transaction = alone::<Self>(options).await?;
        sqlx::raw_sql(tables).execute(&mut *transaction).await?;
        Ok(transaction)
    }

    async fn rows(connection: &mut SqliteConnection) -> Result<Rows, sqlx::Error> {
        let tables = "select name from sqlite_schema where type = 'table' and name not like 'sqlite%' order by name";
        let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut *connection).await?;
        let mut rows = Rows::new();
        for table in tables {
            let columns = sqlx::query_scalar("select name from pragma_table_info(?) order by cid").bind(&table);
            let columns: Vec<String> = columns.fetch_all(&mut *connection).await?;
            let columns: Vec<_> = columns.iter().map(|name| format!("quote({})", quoted(name))).collect();
            let all = format!("select {} from {} order by 1", columns.join(" || ', ' || "), quoted(&table));
            let all: Vec<String> = sqlx::query_scalar(AssertSqlSafe(all)).fetch_all(&mut *connection).await?;
            rows.extend(all.into_iter().map(|row| (table.clone(), row)));
        }
        Ok(rows)
    }
}

impl Kit for sqlx::Postgres {
    async fn begin(options: &Options<Self>, tables: &'static str) -> Result<Transaction<'static, Self>, sqlx::Error> {
        let mut transaction = alone::<Self>(options).await?;
        let schema = quoted(&format!("given#{}", EventId::generate()));
        let create = format!("create schema {schema}; set local search_path = {schema}, public");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut *transaction).await?;
        sqlx::raw_sql(tables).execute(&mut *transaction).await?;
        Ok(transaction)
    }

    async fn rows(connection: &mut PgConnection) -> Result<Rows, sqlx::Error> {
        let tables = "select tablename::text from pg_tables where schemaname = current_schema() order by 1";
        let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut *connection).await?;
        let mut rows = Rows::new();
        for table in tables {
            let all = format!("select given::text from {} as given order by 1", quoted(&table));
            let all: Vec<String> = sqlx::query_scalar(AssertSqlSafe(all)).fetch_all(&mut *connection).await?;
            rows.extend(all.into_iter().map(|row| (table.clone(), row)));
        }
        Ok(rows)
    }
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}
