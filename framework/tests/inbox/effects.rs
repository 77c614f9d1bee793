//! What a message causes is recorded once, with its circumstances.

use annalist::{
    App, Position, Read, StartError, Store,
    inbox::{Inbox, Incoming, MemoryConsumer, contract, settled as answered},
    outbox::MemoryPublisher,
};

use super::{
    app_with,
    bank::{Account, GIRO, GiroEvent, Post, balance, hasty, receive, savings_inbox, sent},
    inbox, settled,
};

#[tokio::test]
async fn the_consumer_in_memory_keeps_to_the_contract() {
    let broker = MemoryPublisher::new();
    let consumer = MemoryConsumer::of(&broker, GIRO);
    contract::all(broker, || consumer.clone(), &consumer).await;
}

#[tokio::test]
async fn a_message_that_comes_twice_has_its_effect_once() {
    let consumer = MemoryConsumer::new();
    let app = app_with(savings_inbox(&consumer)).await;
    for id in ["1", "1", "2", "1"] {
        sent(&consumer, id, "eve", 50);
    }
    let status = settled(&app, 4).await;
    assert_eq!((status.handled, status.dead, status.lag()), (4, 0, 0), "{status}");
    assert_eq!(balance(&app, "eve").await, 100);
}

#[tokio::test]
async fn the_same_id_of_another_source_is_another_message() {
    let consumer = MemoryConsumer::new();
    let app = app_with(savings_inbox(&consumer)).await;
    for source in ["urn:one", "urn:two"] {
        consumer.send_json("1", source, "giro.money-sent.v2", "eve", r#"{"from":"a","to":"eve","cents":5}"#);
    }
    settled(&app, 2).await;
    assert_eq!(balance(&app, "eve").await, 10);
}

#[tokio::test]
async fn its_events_carry_the_circumstances_of_the_message() {
    let consumer = MemoryConsumer::new();
    let app = app_with(savings_inbox(&consumer)).await;
    let mut message = Incoming::new("m-1", GIRO, "giro.money-sent.v2");
    message.data = r#"{"from":"a","to":"eve","cents":5}"#.into();
    message.metadata.correlation_id = Some("c-1".to_owned());
    message.metadata.causation_id = Some("elsewhere".to_owned());
    message.metadata.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    consumer.send(message.clone());
    settled(&app, 1).await;
    let mut batches = app.store().events().read(Read::all(Position::ZERO)).await.unwrap();
    let recorded = batches.next().await.unwrap()[0].metadata();
    assert_eq!(recorded.correlation_id.as_deref(), Some("c-1"));
    assert_eq!(recorded.causation_id.as_deref(), Some("m-1"));
    assert_eq!(recorded.actor.as_deref(), Some(GIRO));
    assert_eq!(recorded.traceparent, message.metadata.traceparent);
}

#[tokio::test]
async fn several_commands_of_one_message_are_each_recorded_once() {
    let consumer = MemoryConsumer::new();
    let inbox = Inbox::named("fees").from(consumer.clone()).on(|received, cx| async move {
        let GiroEvent::Sent { to, cents, .. } = received.event;
        cx.on::<Account>(to.clone()).execute(Post { cents }).await?;
        // A repeated command replies as it did the first time, so what follows from the reply is the same again.
        let after = cx.on::<Account>(to).execute(Post { cents: -1 }).await?.reply;
        cx.on::<Account>("fees".to_owned()).execute(Post { cents: after }).await?;
        Ok(())
    });
    let app = app_with(inbox).await;
    for id in ["1", "1", "2", "2"] {
        sent(&consumer, id, "eve", 10);
    }
    let status = settled(&app, 4).await;
    assert_eq!(status.dead, 0, "{status}");
    assert_eq!((balance(&app, "eve").await, balance(&app, "fees").await), (18, 9 + 18));
}

#[tokio::test]
async fn a_rejection_is_for_the_handler_to_look_at() {
    let consumer = MemoryConsumer::new();
    let inbox = Inbox::named("fees").from(consumer.clone()).on(|received, cx| async move {
        let GiroEvent::Sent { to, cents, .. } = received.event;
        if answered(cx.on::<Account>(to).execute(Post { cents }).await)?.is_err() {
            cx.on::<Account>("rejected".to_owned()).execute(Post { cents: 1 }).await?;
        }
        Ok(())
    });
    let app = app_with(inbox).await;
    for id in ["1", "1"] {
        sent(&consumer, id, "eve", -10);
    }
    let status = settled(&app, 2).await;
    assert_eq!((status.dead, balance(&app, "rejected").await), (0, 1), "{status}");
}

#[tokio::test]
async fn old_versions_are_upcast_and_other_types_passed_over() {
    let consumer = MemoryConsumer::new();
    let app = app_with(savings_inbox(&consumer)).await;
    consumer.send_json("1", GIRO, "giro.money-sent.v1", "eve", r#"{"to":"eve","cents":5}"#);
    consumer.send_json("2", GIRO, "giro.account-closed.v1", "eve", "{}");
    let status = settled(&app, 2).await;
    assert_eq!((status.handled, status.skipped, balance(&app, "eve").await), (1, 1, 5), "{status}");
}

#[tokio::test]
async fn what_is_not_declared_goes_where_the_inbox_says() {
    let consumer = MemoryConsumer::new();
    let inbox = savings_inbox(&consumer).otherwise(|message: std::sync::Arc<Incoming>, cx| async move {
        let account = message.event_type.clone();
        cx.on::<Account>(account).execute(Post { cents: 1 }).await?;
        Ok(())
    });
    let app = app_with(inbox).await;
    sent(&consumer, "1", "eve", 5);
    consumer.send(Incoming::new("2", "urn:other", "com.example.thing"));
    assert_eq!(settled(&app, 2).await.handled, 2);
    assert_eq!((balance(&app, "eve").await, balance(&app, "com.example.thing").await), (5, 1));
}

#[tokio::test]
async fn each_inbox_of_a_service_handles_a_message_and_two_of_one_name_are_refused() {
    let (one, other) = (MemoryConsumer::new(), MemoryConsumer::new());
    let second = Inbox::named("second").from(other.clone()).on(receive).options(hasty());
    let app = App::open(Store::memory()).inbox(savings_inbox(&one)).inbox(second).start().await.unwrap();
    for consumer in [&one, &other] {
        sent(consumer, "1", "eve", 5);
    }
    settled(&app, 1).await;
    app.inboxes()[1].until(|status| status.settled() == 1).await;
    assert_eq!((balance(&app, "eve").await, inbox(&app).name()), (10, "savings-giro"));

    let twice = App::open(Store::memory()).inbox(savings_inbox(&one)).inbox(savings_inbox(&other));
    assert!(matches!(twice.start().await, Err(StartError::InboxTwice { name: "savings-giro" })));
}
