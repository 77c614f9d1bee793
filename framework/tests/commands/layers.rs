//! What stands around commands.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use annalist::{App, AppendError, CommandError, CommandInfo, CommandLayer, Ended, ExecuteError, Next, Refusal, Target};
use async_trait::async_trait;

use super::{
    account::{Account, Withdraw},
    alice, app_on, balance, deposit,
    purse::{Lighten, Limit},
    watched::{Act, Notes, Watched},
};

/// Only Bob withdraws.
struct Authorisation;

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{0:?} may not withdraw")]
struct Forbidden(Option<String>);

#[async_trait]
impl CommandLayer for Authorisation {
    fn name(&self) -> &'static str {
        "authorisation"
    }

    async fn around(&self, command: &CommandInfo<'_>, next: Next<'_>) -> Result<Ended, Refusal> {
        if command.name() == "withdraw" && command.actor() != Some("bob") {
            return Err(Forbidden(command.actor().map(str::to_owned)).into());
        }
        Ok(next.run().await)
    }
}

/// Counts what comes of commands, and notes them.
#[derive(Clone, Default)]
struct Metrics {
    counts: Arc<Mutex<BTreeMap<String, u32>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl CommandLayer for Metrics {
    fn name(&self) -> &'static str {
        "metrics"
    }

    async fn around(&self, command: &CommandInfo<'_>, next: Next<'_>) -> Result<Ended, Refusal> {
        let seen = format!("{} {} {:?} {}", command.name(), command.target(), command.key(), command.payload()?);
        self.seen.lock().unwrap().push(seen);
        let ended = next.run().await;
        let kind = match &ended {
            Ended::Accepted { repeated: true, .. } => "repeated",
            Ended::Accepted { .. } => "accepted",
            Ended::Rejected { .. } => "rejected",
            Ended::Failed { kind, .. } => kind,
            _ => "other",
        };
        *self.counts.lock().unwrap().entry(kind.to_owned()).or_default() += 1;
        Ok(ended)
    }
}

/// Refuses when all is done, or waits no longer.
struct Contrary(Duration);

#[async_trait]
impl CommandLayer for Contrary {
    fn name(&self) -> &'static str {
        "contrary"
    }

    async fn around(&self, _: &CommandInfo<'_>, next: Next<'_>) -> Result<Ended, Refusal> {
        _ = tokio::time::timeout(self.0, next.run()).await;
        Err("too late".into())
    }
}

async fn with_100(layers: impl FnOnce(annalist::AppBuilder) -> annalist::AppBuilder) -> (App, Watched) {
    let watched = Watched::default();
    deposit(&app_on(&watched).await, 100).await;
    *watched.notes() = Notes::default();
    (layers(App::open(watched.store())).start().await.unwrap(), watched)
}

fn asked(watched: &Watched) -> (usize, usize, usize) {
    let notes = watched.notes();
    (notes.outcomes, notes.reads.len(), notes.appends.len())
}

#[tokio::test]
async fn who_may_not_is_refused_before_anything_is_asked_of_the_store() {
    let (app, watched) = with_100(|app| app.layer(Authorisation)).await;
    let withdraw = || app.on::<Account>(alice()).execute(Withdraw { cents: 30 }).key("request-1");
    let failed = withdraw().actor("eve").await.unwrap_err();
    assert_eq!(failed.to_string(), r#"refused by authorisation: Some("eve") may not withdraw"#);
    assert!(!failed.is_retryable());
    let ExecuteError::Failed(CommandError::Refused { by: "authorisation", why }) = failed else { panic!("{failed:?}") };
    assert_eq!(why.downcast_ref(), Some(&Forbidden(Some("eve".to_owned()))));
    assert_eq!(asked(&watched), (0, 0, 0));
    assert_eq!(withdraw().actor("bob").await.unwrap().reply, 70);
    // Nor may they ask what came of it.
    assert!(withdraw().await.is_err());
}

#[tokio::test]
async fn outcomes_are_counted_by_kind() {
    let metrics = Metrics::default();
    let (app, watched) = with_100(|app| app.layer(metrics.clone()).layer(Authorisation)).await;
    let withdraw = |cents| app.on::<Account>(alice()).execute(Withdraw { cents }).actor("bob");
    withdraw(30).key("request-1").await.unwrap();
    withdraw(30).key("request-1").await.unwrap();
    withdraw(80).await.unwrap_err();
    withdraw(30).actor("eve").await.unwrap_err();
    watched.notes().at_appends.push_back(Act::Refuse(AppendError::Poisoned { reason: "fsync".to_owned() }));
    withdraw(30).await.unwrap_err();
    let expected = [("accepted", 1), ("refused", 1), ("rejected", 1), ("repeated", 1), ("store", 1)];
    let counts = metrics.counts.lock().unwrap().clone();
    assert_eq!(counts, expected.map(|(kind, count)| (kind.to_owned(), count)).into());
    let first = r#"withdraw stream `account-alice` Some("request-1") {"cents":30}"#;
    assert_eq!(metrics.seen.lock().unwrap()[0], first);
}

#[tokio::test]
async fn they_stand_in_the_order_in_which_they_were_added() {
    let (outer, inner) = (Metrics::default(), Metrics::default());
    let (app, _) = with_100(|app| app.layer(outer.clone()).layer(Authorisation).layer(inner.clone())).await;
    app.on::<Account>(alice()).execute(Withdraw { cents: 30 }).await.unwrap_err();
    assert_eq!((outer.seen.lock().unwrap().len(), inner.seen.lock().unwrap().len()), (1, 0));
}

#[tokio::test]
async fn scopes_have_them_too() {
    let metrics = Metrics::default();
    let (app, _) = with_100(|app| app.layer(metrics.clone())).await;
    let lighten = Lighten { owner: "ada".to_owned(), purse: 1, cents: 0 };
    app.scope::<Limit>().execute(lighten).await.unwrap();
    let seen = metrics.seen.lock().unwrap()[0].clone();
    let target = Target::Query(
        <Limit as annalist::Scope<Lighten>>::query(&Lighten { owner: "ada".to_owned(), purse: 1, cents: 0 }).unwrap(),
    );
    assert!(seen.starts_with(&format!("lighten {target} None ")), "{seen}");
}

#[tokio::test(start_paused = true)]
async fn what_was_executed_stands_whatever_a_layer_says() {
    let (app, watched) = with_100(|app| app.layer(Contrary(Duration::from_secs(1)))).await;
    let withdraw = || app.on::<Account>(alice()).execute(Withdraw { cents: 30 });
    assert_eq!(withdraw().await.unwrap().reply, 70);
    // It waits no longer while the store has the append: nobody knows.
    let hour = Box::pin(tokio::time::sleep(Duration::from_hours(1)));
    watched.notes().at_appends.push_back(Act::First(hour));
    let failed = withdraw().await;
    assert!(matches!(failed, Err(ExecuteError::Failed(CommandError::Unknown { .. }))), "{failed:?}");
    // And while it is loaded nothing has happened.
    watched.notes().before_reads.push_back(Box::pin(tokio::time::sleep(Duration::from_hours(1))));
    let failed = withdraw().await;
    assert!(matches!(failed, Err(ExecuteError::Failed(CommandError::Refused { by: "contrary", .. }))), "{failed:?}");
    assert_eq!(balance(&app).await, 70);
}
