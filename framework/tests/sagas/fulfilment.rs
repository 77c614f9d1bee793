//! A workflow over ledgers: one books at once, another answers by an event.

use std::time::Duration;

use annalist::{
    Aggregate, App, Command, Context, Decide, Decision, Event, Recorded, State, emit, ensure, nothing,
    workflow::{Answer, Retry, Steps, Workflow},
};
use serde::{Deserialize, Serialize};

#[derive(Event, Clone, Debug, PartialEq)]
#[event(category = "ledger")]
pub(crate) enum LedgerEvent {
    /// In the ledger `orders`: begins the workflow.
    #[event(name = "order-wanted")]
    Wanted { order: String, fails_at: Option<String> },
    #[event(name = "booked")]
    Booked { order: String },
    #[event(name = "unbooked")]
    Unbooked { order: String },
    #[event(name = "asked")]
    Asked { order: String },
    #[event(name = "answered")]
    Answered { order: String, booked: bool },
}

/// What is booked, and how often something was refused.
#[derive(Default, Debug)]
pub(crate) struct Ledger {
    pub(crate) booked: Vec<String>,
}

impl State for Ledger {
    type Event = LedgerEvent;
    fn evolve(&mut self, event: &LedgerEvent) {
        match event {
            LedgerEvent::Booked { order } | LedgerEvent::Answered { order, booked: true } => {
                self.booked.push(order.clone());
            }
            LedgerEvent::Unbooked { order } => self.booked.retain(|booked| booked != order),
            LedgerEvent::Wanted { .. } | LedgerEvent::Asked { .. } | LedgerEvent::Answered { .. } => {}
        }
    }
}

impl Aggregate for Ledger {
    type Id = String;
}

#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[error("refused")]
pub(crate) struct Refused;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "want")]
pub(crate) struct Want {
    pub(crate) order: String,
    pub(crate) fails_at: Option<String>,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "book")]
pub(crate) struct Book {
    pub(crate) order: String,
    pub(crate) refused: bool,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "unbook")]
pub(crate) struct Unbook {
    pub(crate) order: String,
    pub(crate) refused: bool,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "ask")]
pub(crate) struct Ask {
    pub(crate) order: String,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "answer")]
pub(crate) struct Reply {
    pub(crate) order: String,
    pub(crate) booked: bool,
}

macro_rules! decides {
    ($($command:ident => $reply:ty, |$state:ident, $value:ident| $decide:expr;)*) => {$(
        impl Decide<$command> for Ledger {
            type Rejection = Refused;
            type Reply = $reply;
            fn decide(&self, $value: &$command, _: &Context) -> Result<Decision<LedgerEvent, $reply>, Refused> {
                let $state = self;
                $decide
            }
        }
    )*};
}

decides! {
    Want => (), |_ledger, want| Ok(emit(LedgerEvent::Wanted { order: want.order.clone(), fails_at: want.fails_at.clone() }));
    Book => usize, |ledger, book| {
        ensure!(!book.refused, Refused);
        Ok(emit(LedgerEvent::Booked { order: book.order.clone() }).reply(ledger.booked.len() + 1))
    };
    // Accepted also when nothing is booked: nothing is to be undone then.
    Unbook => (), |ledger, unbook| {
        ensure!(!unbook.refused, Refused);
        if !ledger.booked.contains(&unbook.order) {
            return Ok(nothing());
        }
        Ok(emit(LedgerEvent::Unbooked { order: unbook.order.clone() }))
    };
    Ask => (), |_ledger, ask| Ok(emit(LedgerEvent::Asked { order: ask.order.clone() }));
    Reply => (), |_ledger, reply| Ok(emit(LedgerEvent::Answered { order: reply.order.clone(), booked: reply.booked }));
}

/// Stock, then payment (answered by an event), then shipment (the pivot), then mail. `V` is its version; `RENAMED` a
/// program in which a step has another name.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Fulfilment<const V: u32 = 1, const RENAMED: u8 = 0> {
    pub(crate) order: String,
    fails_at: Option<String>,
    pub(crate) place: Option<usize>,
    pub(crate) letters: Option<usize>,
}

pub(crate) const TIMEOUT: Duration = Duration::from_mins(5);

/// The step keeps its name.
pub(crate) const SAME: u8 = 0;
/// It has another name, and says so.
pub(crate) const RENAMED: u8 = 1;
/// It has another name.
pub(crate) const LOST: u8 = 2;

impl<const V: u32, const R: u8> Fulfilment<V, R> {
    fn book(ledger: &'static str) -> impl Fn(&Self) -> Option<(String, Book)> {
        move |own| {
            let refused = own.fails_at.as_deref() == Some(ledger);
            Some((ledger.to_owned(), Book { order: own.order.clone(), refused }))
        }
    }

    fn unbook(ledger: &'static str) -> impl Fn(&Self) -> Option<(String, Unbook)> {
        move |own| {
            // What is booked in the stock cannot be undone.
            let refused = own.fails_at.as_deref() == Some("undo") && ledger == "stock";
            Some((ledger.to_owned(), Unbook { order: own.order.clone(), refused }))
        }
    }
}

impl<const V: u32, const R: u8> Workflow for Fulfilment<V, R> {
    const NAME: &'static str = "fulfilment";
    const VERSION: u32 = V;
    type Event = LedgerEvent;

    fn start(event: &Recorded<LedgerEvent>) -> Option<(String, Self)> {
        let LedgerEvent::Wanted { order, fails_at } = &event.event else { return None };
        Some((order.clone(), Self { order: order.clone(), fails_at: fails_at.clone(), ..Self::default() }))
    }

    fn about(event: &Recorded<LedgerEvent>) -> Option<String> {
        match &event.event {
            LedgerEvent::Answered { order, .. } => Some(order.clone()),
            _ => None,
        }
    }

    fn steps(steps: &mut Steps<Self>) {
        let stock = steps
            .step(if R == SAME { "stock" } else { "storage" })
            .execute::<Ledger, Book>(Self::book("stock"))
            .on_reply(|own, place| own.place = Some(place))
            .compensate::<Ledger, Unbook>(Self::unbook("stock"))
            .retry_compensation(Retry::times(1));
        if R == RENAMED {
            stock.formerly("stock");
        }
        steps
            .step("payment")
            .execute::<Ledger, Ask>(|own| Some(("payment".to_owned(), Ask { order: own.order.clone() })))
            .until(|_, event| match event.event {
                LedgerEvent::Answered { booked: true, .. } => Some(Answer::Done),
                LedgerEvent::Answered { booked: false, .. } => Some(Answer::Failed("declined".to_owned())),
                _ => None,
            })
            .timeout(TIMEOUT)
            .compensate::<Ledger, Unbook>(Self::unbook("payment"));
        steps.step("shipment").execute::<Ledger, Book>(Self::book("shipment")).pivot();
        steps
            .step("mail")
            .execute::<Ledger, Book>(Self::book("mail"))
            .on_reply(|own, letters| own.letters = Some(letters))
            .retry(Retry::times(2));
    }

    fn migrate(version: u32, data: serde_json::Value) -> Option<Self> {
        (version == 1 && V == 2).then(|| serde_json::from_value(data).ok()).flatten()
    }
}

pub(crate) async fn want(app: &App, order: &str, fails_at: Option<&str>) {
    let want = Want { order: order.to_owned(), fails_at: fails_at.map(str::to_owned) };
    app.on::<Ledger>("orders".to_owned()).execute(want).await.unwrap();
}

pub(crate) async fn answer(app: &App, order: &str, booked: bool) {
    app.on::<Ledger>("payment".to_owned()).execute(Reply { order: order.to_owned(), booked }).await.unwrap();
}

pub(crate) async fn booked(app: &App, ledger: &str) -> usize {
    app.load::<Ledger>(&ledger.to_owned()).await.unwrap().state.booked.len()
}
