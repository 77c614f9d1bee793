//! What every consumer keeps to: a suite that the implementations run, each against its own broker.
//!
//! ```
//! # use annalist::{inbox::{MemoryConsumer, contract}, outbox::MemoryPublisher};
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let broker = MemoryPublisher::new();
//! let consumer = MemoryConsumer::of(&broker, "urn:annalist:orders");
//! contract::all(broker, || consumer.clone(), &consumer).await;
//! # });
//! ```

use std::time::Duration;

use tokio::time::timeout;

use super::{
    consumer::{Answer, Consumer, Delivered, Terms},
    dead::{DeadLetters, Death, DeathReason},
    message::Incoming,
};
use crate::outbox::{Message, Publisher, contract::messages};

/// How long a message may take: far longer than it does.
const PATIENCE: Duration = Duration::from_secs(30);

/// The name under which the suite consumes.
pub const INBOX: &str = "contract";

/// Runs the whole suite. `publisher` publishes to an empty stream; `consumer` makes a new consumer of it each time, and
/// `dead_letters` are those of the inbox [`INBOX`].
///
/// # Panics
/// When the consumer breaks the contract; the message says how.
pub async fn all<C: Consumer>(
    mut publisher: impl Publisher,
    consumer: impl Fn() -> C,
    dead_letters: &(impl DeadLetters + ?Sized),
) {
    publisher.resume().await.expect("the broker is there");
    publish(&mut publisher, 1, 8).await;
    messages_come_as_they_were_published_in_order(consumer()).await;
    what_was_not_acknowledged_comes_again_in_order(consumer()).await;
    what_was_acknowledged_does_not_come_again(consumer(), &mut publisher).await;
    what_is_given_back_comes_again(consumer(), &mut publisher).await;
    a_dead_letter_is_kept_once_and_replayed(consumer(), &mut publisher, dead_letters).await;
    a_dead_letter_is_discarded(consumer(), &mut publisher, dead_letters).await;
    what_was_acknowledged_comes_again_if_that_is_asked_for(consumer, &mut publisher).await;
}

async fn publish(publisher: &mut impl Publisher, from: u64, to: u64) {
    publisher.publish(&messages(from, to)).await.expect("the broker takes messages");
}

async fn connected(mut consumer: impl Consumer) -> impl Consumer {
    connect(&mut consumer, None).await;
    consumer
}

async fn connect(consumer: &mut impl Consumer, from: Option<u64>) {
    let mut terms = Terms::new(INBOX, 100, PATIENCE);
    terms.from = from;
    consumer.connect(&terms).await.expect("a broker that is there can be connected to");
}

async fn next(consumer: &mut impl Consumer) -> (Incoming, Delivered) {
    let delivered = timeout(PATIENCE, consumer.next()).await.expect("a message must come");
    let delivered = delivered.expect("a broker that is there delivers");
    (delivered.message.clone().expect("what an outbox publishes can be read"), delivered)
}

/// The next message must be number `position`.
async fn expect(consumer: &mut impl Consumer, position: u64) -> Box<dyn Answer> {
    let (message, delivered) = next(consumer).await;
    assert_eq!(message.id, published(position).id(), "expected message number {position}, got {message:?}");
    delivered.answer
}

fn published(position: u64) -> Message {
    messages(position, position).remove(0)
}

async fn ack(answer: &dyn Answer) {
    answer.ack().await.expect("a broker that is there takes answers");
}

async fn messages_come_as_they_were_published_in_order(consumer: impl Consumer) {
    let mut consumer = connected(consumer).await;
    for position in 1..=8 {
        let (message, delivered) = next(&mut consumer).await;
        let expected = Incoming::from_message(&published(position), &*message.source);
        assert_eq!((&message.id, &message.event_type), (&expected.id, &expected.event_type));
        assert_eq!((&message.subject, &message.time), (&expected.subject, &expected.time));
        assert_eq!((&message.content_type, &message.metadata), (&expected.content_type, &expected.metadata));
        assert_eq!((&message.data, message.source.is_empty()), (&expected.data, false));
        assert_eq!(delivered.deliveries, 1, "it was never delivered before");
        if [1, 2, 5].contains(&position) {
            ack(&*delivered.answer).await;
        }
    }
    consumer.close().await;
}

async fn what_was_not_acknowledged_comes_again_in_order(consumer: impl Consumer) {
    let mut consumer = connected(consumer).await;
    // A broker that forgets what was acknowledged out of order may deliver number 5 again, at its place.
    let mut expected = [3, 4, 5, 6, 7, 8].into_iter().peekable();
    while let Some(position) = expected.next() {
        let (message, delivered) = next(&mut consumer).await;
        let skipped = position == 5 && message.id != published(5).id();
        let position = if skipped { expected.next().unwrap_or_default() } else { position };
        assert_eq!(message.id, published(position).id(), "number {position} must come again at its place");
        delivered.answer.working().await.expect("a broker that is there takes signs of life");
        ack(&*delivered.answer).await;
    }
    consumer.close().await;
}

async fn what_was_acknowledged_does_not_come_again(consumer: impl Consumer, publisher: &mut impl Publisher) {
    let mut consumer = connected(consumer).await;
    publish(publisher, 9, 9).await;
    ack(&*expect(&mut consumer, 9).await).await;
    consumer.close().await;
}

async fn what_is_given_back_comes_again(consumer: impl Consumer, publisher: &mut impl Publisher) {
    let mut consumer = connected(consumer).await;
    publish(publisher, 10, 10).await;
    for delay in [Duration::ZERO, Duration::from_millis(10)] {
        let answer = expect(&mut consumer, 10).await;
        answer.nak(delay).await.expect("a broker that is there takes answers");
    }
    let (message, delivered) = next(&mut consumer).await;
    assert_eq!((message.id, delivered.deliveries), (published(10).id(), 3), "deliveries are counted");
    ack(&*delivered.answer).await;
    consumer.close().await;
}

async fn a_dead_letter_is_kept_once_and_replayed(
    consumer: impl Consumer,
    publisher: &mut impl Publisher,
    dead_letters: &(impl DeadLetters + ?Sized),
) {
    let mut consumer = connected(consumer).await;
    publish(publisher, 11, 12).await;
    let death = Death::new(DeathReason::Refused, "50 % of it is naïve,\nand wrong", 3);
    let answer = expect(&mut consumer, 11).await;
    answer.dead(&death).await.expect("the dead letter is stored");
    answer.dead(&death).await.expect("the dead letter is stored again");
    ack(&*expect(&mut consumer, 12).await).await;

    let letters = dead_letters.list(0, 10).await.expect("dead letters can be listed");
    let [letter] = &*letters else { panic!("there must be one dead letter: {letters:?}") };
    assert_eq!((&*letter.inbox, &letter.death), (INBOX, &death));
    let message = letter.message.as_ref().expect("a dead letter is still the message");
    assert_eq!((&message.id, &message.data), (&published(11).id(), &published(11).event.data));
    assert_eq!(dead_letters.get(letter.number).await.expect("it can be shown").as_ref(), Some(letter));
    assert_eq!(dead_letters.list(letter.number, 10).await, Ok(Vec::new()), "there is nothing behind the last");

    assert_eq!(dead_letters.replay(letter.number).await, Ok(true));
    assert_eq!(dead_letters.get(letter.number).await, Ok(None), "what is replayed is no dead letter any more");
    assert_eq!(dead_letters.replay(letter.number).await, Ok(false), "it can be replayed once");
    let (again, delivered) = next(&mut consumer).await;
    assert_eq!(&again, message, "what is replayed is the same message");
    ack(&*delivered.answer).await;
    consumer.close().await;
}

async fn a_dead_letter_is_discarded(
    consumer: impl Consumer,
    publisher: &mut impl Publisher,
    dead_letters: &(impl DeadLetters + ?Sized),
) {
    let mut consumer = connected(consumer).await;
    publish(publisher, 13, 13).await;
    let death = Death::new(DeathReason::Exhausted, "it never worked", 8);
    expect(&mut consumer, 13).await.dead(&death).await.expect("the dead letter is stored");
    let letters = dead_letters.list(0, 10).await.expect("dead letters can be listed");
    let [letter] = &*letters else { panic!("there must be one dead letter: {letters:?}") };
    assert_eq!(dead_letters.discard(letter.number).await, Ok(true));
    assert_eq!(dead_letters.discard(letter.number).await, Ok(false));
    assert_eq!(dead_letters.list(0, 10).await, Ok(Vec::new()));
    consumer.close().await;
}

async fn what_was_acknowledged_comes_again_if_that_is_asked_for<C: Consumer>(
    consumer: impl Fn() -> C,
    publisher: &mut impl Publisher,
) {
    let mut first = connected(consumer()).await;
    publish(publisher, 14, 16).await;
    let mut numbers = Vec::new();
    for position in 14..=16 {
        let (message, delivered) = next(&mut first).await;
        assert_eq!(message.id, published(position).id());
        numbers.push(delivered.sequence.expect("a message of the stream has a number"));
        ack(&*delivered.answer).await;
    }
    assert!(numbers.is_sorted_by(|one, next| one < next), "numbers grow: {numbers:?}");
    first.close().await;

    let mut again = consumer();
    connect(&mut again, numbers.get(1).copied()).await;
    for position in 15..=16 {
        ack(&*expect(&mut again, position).await).await;
    }
    again.close().await;

    // What is not acknowledged comes whatever is asked for.
    let mut beyond = consumer();
    connect(&mut beyond, numbers.last().map(|last| last + 100)).await;
    publish(publisher, 17, 17).await;
    ack(&*expect(&mut beyond, 17).await).await;
    beyond.close().await;
}
