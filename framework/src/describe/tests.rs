//! The texts, whole: they are what people read.

use std::{path::Path, time::Duration};

use annalist_core::RecordedEvent;
use serde::{Deserialize, Serialize};

use super::{CommandSet, Declared, Description, Mode, Outbox};
use crate::{
    Aggregate, Command, Context, Decide, Decision, Event, Events, State, emit,
    outbox::{IntegrationEvent, MemoryPublisher},
    workflow::StepShape,
};

#[derive(Event, Clone)]
#[event(category = "account")]
enum AccountEvent {
    #[event(name = "account-opened")]
    Opened,
    #[event(name = "money-deposited", version = 2, upcast(from = DepositedV1))]
    Deposited {
        #[event(tag)]
        transfer: Option<u64>,
        cents: u64,
    },
}

#[derive(Deserialize)]
struct DepositedV1 {}

impl From<DepositedV1> for AccountEvent {
    fn from(DepositedV1 {}: DepositedV1) -> Self {
        Self::Opened
    }
}

#[derive(Event, Clone)]
#[event(category = "transfer")]
enum TransferEvent {
    #[event(name = "transfer \"requested\"")]
    Requested(u64),
}

#[derive(Default)]
struct Account;

impl State for Account {
    type Event = AccountEvent;
    fn evolve(&mut self, _: &AccountEvent) {}
}

impl Aggregate for Account {
    type Id = String;
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "deposit")]
struct Deposit;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "de posit")]
struct DePosit;

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("never")]
struct Never;

macro_rules! decides {
    ($($command:ident),*) => {$(
        impl Decide<$command> for Account {
            type Rejection = Never;
            type Reply = ();
            fn decide(&self, _: &$command, _: &Context) -> Result<Decision<AccountEvent>, Never> {
                Ok(emit(AccountEvent::Opened))
            }
        }
    )*};
}
decides!(Deposit, DePosit);

fn private(_: &RecordedEvent) -> Vec<IntegrationEvent> {
    vec![]
}

fn described() -> Description {
    let mut app = Description::default();
    let transfers = <TransferEvent as Events>::declared();
    let both = [<AccountEvent as Events>::declared(), transfers.clone()].concat();
    app.outbox(&Outbox::new(MemoryPublisher::new()).map(private).publishes("bank.moved.v1"));
    let mut sent = CommandSet::default();
    sent.add::<Account, Deposit>();
    app.consumer("saga", "transfer", 1, &both, &sent);
    app.consumer("projection", "transfers", 3, &transfers, &CommandSet::default());
    let mut decided = CommandSet::default();
    decided.add::<Account, Deposit>().add::<Account, DePosit>();
    app.commands(&decided);
    let opened = Declared { category: "account", types: &[("account-opened", 1)], schema: &[] };
    app.consumer("projection", "accounts", 1, &[opened], &CommandSet::default());
    app
}

#[test]
fn tables_say_what_there_is() {
    assert_eq!(
        described().markdown(),
        "
## Commands

| command | aggregate | events of |
|---|---|---|
| `de posit` | Account | `account` |
| `deposit` | Account | `account` |

## Events

| category | event | version | payload | tags |
|---|---|---|---|---|
| `account` | `account-opened` | 1 | empty |  |
| `account` | `money-deposited` | 2, reads 1 | `transfer: Option<u64>`, `cents: u64` | `transfer` |
| `transfer` | `transfer \"requested\"` | 1 | `u64` |  |

## Projections

| projection | version | follows |
|---|---|---|
| `accounts` | 1 | `account-opened` of `account` |
| `transfers` | 3 | all of `transfer` |

## Sagas

| saga | version | follows | sends |
|---|---|---|---|
| `transfer` | 1 | all of `account`; all of `transfer` | `deposit` |

## Outboxes

| destination | maps | publishes |
|---|---|---|
| `memory` | all events | `bank.moved.v1` |
"
    );
}

#[test]
fn the_chart_shows_what_leads_where() {
    assert_eq!(
        described().mermaid(),
        "flowchart LR
  command_de_posit([\"de posit\"])
  command_deposit([\"deposit\"])
  aggregate_Account[\"Account\"]
  subgraph category_account[\"account\"]
    event_account_account_opened(\"account-opened\")
    event_account_money_deposited(\"money-deposited\")
  end
  subgraph category_transfer[\"transfer\"]
    event_transfer_transfer__requested_(\"transfer #quot;requested#quot;\")
  end
  projection_accounts[(\"accounts\")]
  projection_transfers[(\"transfers\")]
  saga_transfer{{\"transfer\"}}
  outbox_memory>\"memory\"]
  public_bank_moved_v1(\"bank.moved.v1\")
  command_de_posit --> aggregate_Account
  command_deposit --> aggregate_Account
  aggregate_Account --> event_account_account_opened
  aggregate_Account --> event_account_money_deposited
  event_account_account_opened --> projection_accounts
  event_transfer_transfer__requested_ --> projection_transfers
  event_account_account_opened --> saga_transfer
  event_account_money_deposited --> saga_transfer
  event_transfer_transfer__requested_ --> saga_transfer
  saga_transfer --> command_deposit
  event_account_account_opened --> outbox_memory
  event_account_money_deposited --> outbox_memory
  event_transfer_transfer__requested_ --> outbox_memory
  outbox_memory --> public_bank_moved_v1
"
    );
}

#[test]
fn names_that_look_alike_stay_apart() {
    let mut app = Description::default();
    app.consumer("projection", "a-b", 1, &[], &CommandSet::default());
    app.consumer("projection", "a_b", 1, &[], &CommandSet::default());
    assert_eq!(app.mermaid(), "flowchart LR\n  projection_a_b[(\"a-b\")]\n  projection_a_b_[(\"a_b\")]\n");
}

#[test]
fn a_document_is_compared_and_written_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docs/wiring.md");
    let missing = described().check_in(&path, Mode::Compare).unwrap_err();
    assert!(missing.contains("is not there\nWrite it with `ANNALIST_LOCK=update cargo test`"), "{missing}");
    described().check_in(&path, Mode::Update).unwrap();
    described().check_in(&path, Mode::Compare).unwrap();

    let mut other = described();
    other.consumer("projection", "accounts", 2, &[], &CommandSet::default());
    let said = other.check_in(&path, Mode::Compare).unwrap_err();
    assert!(said.contains("is out of date: line "), "{said}");
    assert!(said.contains("is `  event_account_account_opened --> projection_accounts`, and should be"), "{said}");
    assert!(
        matches!(described().check_in(Path::new("/dev/null/x"), Mode::Update), Err(said) if said.contains("/dev/null/x"))
    );
}

#[test]
fn the_steps_of_a_workflow_are_drawn_and_listed() {
    let step = |name, executes| StepShape {
        name,
        executes,
        waits: false,
        timeout: None,
        retries: 0,
        compensates: None,
        pivot: false,
    };
    let mut app = Description::default();
    let reserve = StepShape { compensates: Some("release"), ..step("reserve", "take") };
    let minute = Some(Duration::from_mins(1));
    let charge = StepShape { compensates: Some("refund"), timeout: minute, waits: true, ..step("charge", "pay") };
    let ship = StepShape { pivot: true, ..step("ship", "send") };
    app.workflow("fulfilment", vec![reserve, charge, ship, StepShape { retries: 5, ..step("tell", "mail") }]);
    assert_eq!(
        app.markdown(),
        "
## Steps of the workflow `fulfilment`

```mermaid
flowchart LR
  step_reserve[\"reserve\"]
  undo_reserve([\"release\"])
  step_charge[\"charge\"]
  undo_charge([\"refund\"])
  step_ship{{\"ship\"}}
  step_tell[\"tell\"]
  done((\"done\"))
  compensated((\"compensated\"))
  step_reserve --> step_charge
  step_reserve -. rejected .-> compensated
  undo_reserve --> compensated
  step_charge --> step_ship
  step_charge -. rejected .-> undo_reserve
  step_charge -. too late .-> undo_charge
  undo_charge --> undo_reserve
  step_ship --> step_tell
  step_ship -. rejected .-> undo_charge
  step_tell --> done
```

| step | executes | done when | time-out | tried again | compensated by |
|---|---|---|---|---|---|
| `reserve` | `take` | it is accepted |  | 0 | `release` |
| `charge` | `pay` | an event says so | 60s | 0 | `refund` |
| `ship`, the pivot | `send` | it is accepted |  | 0 |  |
| `tell` | `mail` | it is accepted |  | 5 |  |
"
    );
}

#[test]
fn a_scope_says_what_it_decides_about_and_what_it_rests_on() {
    let mut app = Description::default();
    let both = [<AccountEvent as Events>::declared(), <TransferEvent as Events>::declared()].concat();
    app.scope("Limit", "withdraw-large", &both);
    app.scope("Limit", "withdraw-small", &<AccountEvent as Events>::declared());
    let rows = "
## Scopes

| command | scope | rests on |
|---|---|---|
| `withdraw-large` | Limit | `account`, `transfer` |
| `withdraw-small` | Limit | `account` |
";
    assert!(app.markdown().starts_with(rows), "{}", app.markdown());
    let chart = app.mermaid();
    let node = "  command_withdraw_large([\"withdraw-large\"])\n  command_withdraw_small([\"withdraw-small\"])\n  scope_Limit[[\"Limit\"]]\n";
    assert!(chart.contains(node), "{chart}");
    let edges = "  command_withdraw_large --> scope_Limit\n  command_withdraw_small --> scope_Limit\n  scope_Limit --> event_account_account_opened\n";
    assert!(chart.contains(edges), "{chart}");
    assert_eq!(chart.matches("scope_Limit -->").count(), 3, "{chart}");
}

#[test]
fn an_inbox_says_what_it_consumes_and_handles() {
    let handle = |_: crate::inbox::Received<AccountEvent>, _| async { Ok(()) };
    let inbox = crate::inbox::Inbox::named("bank-accounts").from(crate::inbox::MemoryConsumer::new()).on(handle);
    let mut app = Description::default();
    app.inbox(&inbox);
    let row = "| inbox | consumes | handles |\n|---|---|---|\n| `bank-accounts` | `memory` | `account-opened.v1`";
    assert!(app.markdown().contains(row), "{}", app.markdown());
    let edge = "public_account_opened_v1 --> inbox_bank_accounts\n";
    assert!(app.mermaid().contains(edge), "{}", app.mermaid());
}
