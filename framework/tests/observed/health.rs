//! Health tells what works.

use annalist::{
    App, Health, Part, Store,
    outbox::{MemoryPublisher, Outbox, RelayState},
};

use crate::bank::{Account, Balances, Deposit, Thanks, public};

#[tokio::test]
async fn an_app_whose_parts_follow_the_log_is_healthy() {
    let dir = tempfile::tempdir().unwrap();
    let app = App::open(Store::embedded(dir.path()).unwrap()).projection(Balances).saga::<Thanks>();
    let app = app.outbox(Outbox::new(MemoryPublisher::new()).map_events(public)).start().await.unwrap();
    app.saga::<Thanks>().unwrap().idle().await.unwrap();
    let mut relay = app.relays()[0].watch();
    relay.wait_for(|status| status.state == RelayState::Connected).await.unwrap();
    let live = || app.health().part(Part::Projection, "balances") == Some(&Health::Healthy);
    let live_saga = || app.health().part(Part::Saga, "thanks") == Some(&Health::Healthy);
    while !(live() && live_saga()) {
        tokio::task::yield_now().await;
    }
    assert_eq!(app.health().overall(), Health::Healthy, "{:?}", app.health());
    assert_eq!(app.health().parts.len(), 5);

    app.shutdown().await.unwrap();
    let health = app.health();
    assert!(matches!(health.part(Part::Store, ""), Some(Health::Failed { .. })), "{health:?}");
    assert!(matches!(health.part(Part::Commands, ""), Some(Health::ReadOnly { .. })), "{health:?}");
    assert!(!health.overall().takes_writes());
    assert_eq!(app.metrics().await.number("annalist_store_health", &["failed"]), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn a_projection_that_stopped_degrades_the_app_and_says_why() {
    let app = App::open(Store::memory()).projection(Balances).start().await.unwrap();
    let cursed = Deposit { account: "cursed".to_owned(), cents: 1 };
    let receipt = app.on::<Account>("cursed".to_owned()).execute(cursed).await.unwrap();
    let patience = std::time::Duration::from_secs(30);
    app.projections().reached::<Balances>(receipt.cursor, patience).await.unwrap_err();
    let health = app.health();
    let Some(Health::Failed { why }) = health.part(Part::Projection, "balances") else { panic!("{health:?}") };
    assert!(why.contains("this account cannot be shown"), "{why}");
    let overall = health.overall();
    assert!(overall.takes_writes() && overall.state() == "degraded", "{overall}");
    assert!(overall.to_string().contains("`balances`"), "{overall}");
}
