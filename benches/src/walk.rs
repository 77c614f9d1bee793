//! A workflow of three steps: what comes into an account whose name begins with `walk-` is paid into three others as well; if
//! it begins with `back-`, the third refuses, and the first two pay it back.

use annalist::{
    Recorded,
    workflow::{Steps, Workflow},
};
use serde::{Deserialize, Serialize};

use crate::{Account, AccountEvent, Deposit};

/// The workflow: what its steps know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Walk {
    account: String,
    cents: u64,
    text: String,
    comes_through: bool,
}

impl Walk {
    fn deposit(&self, step: &str, cents: u64) -> (String, Deposit) {
        (format!("{step}-{}", self.account), Deposit { cents, text: self.text.clone() })
    }
}

impl Workflow for Walk {
    const NAME: &'static str = "walk";
    const VERSION: u32 = 1;
    type Event = AccountEvent;

    fn start(event: &Recorded<AccountEvent>) -> Option<(String, Self)> {
        let stream = event.record.stream_id();
        let account = stream.identifier();
        let comes_through = account.starts_with("walk-");
        let AccountEvent::Deposited { cents, text } = event.event.clone();
        let begins = comes_through || account.starts_with("back-");
        begins.then(|| (account.to_owned(), Self { account: account.to_owned(), cents, text, comes_through }))
    }

    fn steps(steps: &mut Steps<Self>) {
        for step in ["first", "second"] {
            steps
                .step(step)
                .execute::<Account, Deposit>(move |walk| Some(walk.deposit(step, walk.cents)))
                .compensate::<Account, Deposit>(move |walk| Some(walk.deposit(step, walk.cents)));
        }
        steps.step("third").execute::<Account, Deposit>(|walk| {
            Some(walk.deposit("third", if walk.comes_through { walk.cents } else { 0 }))
        });
    }
}
