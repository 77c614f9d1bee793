//! The store without the framework: append, read back, follow.

use annalist_core::{
    Append, Cursor, Delivery, EventId, EventStore as _, EventType, Expected, NewEvent, Query, Read, StreamId, Version,
};
use annalist_store::Store;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::temp_dir().join(format!("annalist-store-only-{}", std::process::id()));
    let store = Store::open(&dir)?;

    let stream = StreamId::new("order-1")?;
    let placed = NewEvent::new(EventId::generate(), EventType::new("order-placed")?, r#"{"cds":2,"cents":2933}"#);
    let appended = store.append(Append::new().events(stream.clone(), Expected::NoStream, [placed])).await?;
    tracing::info!(position = %appended.cursor.position, "recorded");

    let mut events = store.read(Read::stream(stream, Version::ZERO)).await?;
    assert_eq!(events.next().await?.len(), 1);

    let mut subscription = store.subscribe(Query::all(), Cursor::START).await?;
    while let Delivery::Events(events) = subscription.next().await? {
        assert!(events.iter().all(|event| event.type_name() == "order-placed"));
    }
    store.close().await?;
    Ok(std::fs::remove_dir_all(dir)?)
}
