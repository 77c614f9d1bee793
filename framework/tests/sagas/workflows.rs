//! Workflows as they run: killed after each record, in time and too late, and what people do with them.

use std::{sync::Arc, time::Duration};

use annalist::{
    App, StartError,
    projection::{KeyValueStore, MemoryKeyValue},
    saga::{self, Audit, Begin, SagaError, SagaOptions},
    workflow::{Phase, StepState, WorkflowState, WorkflowStatus},
};
use tokio::{
    select,
    time::{sleep, timeout},
};

use crate::{
    cut::CutStore,
    fulfilment::{Fulfilment, LOST, RENAMED, SAME, TIMEOUT, answer, booked, want},
    support::{World, inputs},
};

const LEDGERS: [&str; 4] = ["stock", "payment", "shipment", "mail"];
const HOUR: Duration = Duration::from_hours(1);

/// Answers for the payment service as soon as it is asked, and waits until the order has ended.
async fn carried_through(app: &App, pays: Option<bool>) -> WorkflowStatus<Fulfilment> {
    let workflow = app.workflow::<Fulfilment>().unwrap();
    loop {
        match workflow.ended("1", Duration::from_secs(1)).await {
            Ok(ended) => return ended,
            Err(SagaError::UnderWay { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        let instance = workflow.instance("1").await.unwrap();
        let awaits = ("payment".to_owned(), StepState::Executing(Phase::Awaiting));
        if let (Some(pays), Some(true)) = (pays, instance.map(|instance| instance.steps.last() == Some(&awaits))) {
            answer(app, "1", pays).await;
        }
    }
}

/// One order, killed after its n-th append for every n, until it ends without being killed. Returns how often.
async fn killed_everywhere(fails_at: Option<&str>, pays: Option<bool>, end: &WorkflowState, keep_rows: bool) -> u64 {
    for appends in 1.. {
        let world = World::new();
        let seed = world.app().start().await.unwrap();
        want(&seed, "1", fails_at).await;
        drop(seed);
        let history = SagaOptions::default().begin(Begin::History);
        let cut = CutStore::new(world.memory.clone(), appends);
        let views = Arc::<MemoryKeyValue>::clone(&world.views);
        let app = App::open(cut.store(views)).with_env(world.env.clone());
        let app = app.workflow_with::<Fulfilment>(history.clone()).start().await.unwrap();
        let killed = select! {
            biased;
            () = cut.died() => true,
            _ = carried_through(&app, pays) => false,
        };
        drop(app);

        let views: Arc<dyn KeyValueStore> =
            if keep_rows { Arc::<MemoryKeyValue>::clone(&world.views) } else { Arc::new(MemoryKeyValue::new()) };
        let app = App::open(annalist::Store::new(world.memory.clone(), views)).with_env(world.env.clone());
        let app = app.workflow_with::<Fulfilment>(history).start().await.unwrap();
        let ended = timeout(24 * HOUR, carried_through(&app, pays)).await.unwrap();
        assert_eq!(ended.state, *end, "killed after {appends}: {ended:?}");
        let each = usize::from(*end == WorkflowState::Done);
        for ledger in LEDGERS {
            assert_eq!(booked(&app, ledger).await, each, "{ledger}, killed after {appends}");
        }
        app.shutdown().await.unwrap();

        let log = world.log().await;
        for (input, times) in inputs(&log) {
            assert_eq!(times, 1, "{input}");
        }
        let count = |name: &str| log.iter().filter(|record| record.type_name() == name).count();
        assert_eq!(count("asked"), 1, "killed after {appends}");
        assert!(count("unbooked") <= 2 && count("booked") <= 3, "killed after {appends}");
        if !killed {
            return appends;
        }
    }
    unreachable!("the process ends without being killed at last")
}

#[tokio::test(start_paused = true)]
async fn every_step_is_done_once_wherever_it_is_killed() {
    let appends = killed_everywhere(None, Some(true), &WorkflowState::Done, true).await;
    // The event that begins it; four commands and their outcomes; the answer, recorded and taken in.
    assert_eq!(appends, 12, "as many appends as are expected, and one more");
    killed_everywhere(None, Some(true), &WorkflowState::Done, false).await;
}

#[tokio::test(start_paused = true)]
async fn every_step_is_undone_once_wherever_it_is_killed() {
    killed_everywhere(Some("shipment"), Some(true), &WorkflowState::Compensated, true).await;
    killed_everywhere(Some("shipment"), Some(true), &WorkflowState::Compensated, false).await;
    killed_everywhere(None, Some(false), &WorkflowState::Compensated, true).await;
}

#[tokio::test(start_paused = true)]
async fn a_step_without_an_answer_is_undone_once_wherever_it_is_killed() {
    killed_everywhere(None, None, &WorkflowState::Compensated, true).await;
    killed_everywhere(None, None, &WorkflowState::Compensated, false).await;
}

#[tokio::test(start_paused = true)]
async fn a_time_out_falls_due_while_the_service_is_down_and_a_late_answer_does_no_harm() {
    let world = World::new();
    let app = world.app().workflow::<Fulfilment>().start().await.unwrap();
    let workflow = app.workflow::<Fulfilment>().unwrap();
    want(&app, "1", None).await;
    want(&app, "2", None).await;
    workflow.saga().idle().await.unwrap();
    sleep(Duration::from_secs(299)).await;
    answer(&app, "2", true).await;
    let done = workflow.ended("2", HOUR).await.unwrap();
    assert_eq!((done.state, done.data.unwrap().place), (WorkflowState::Done, Some(2)));
    assert_eq!(workflow.instance("1").await.unwrap().unwrap().state, WorkflowState::Running);
    app.shutdown().await.unwrap();

    sleep(TIMEOUT).await;
    let app = world.app().workflow::<Fulfilment>().start().await.unwrap();
    let workflow = app.workflow::<Fulfilment>().unwrap();
    let ended = workflow.ended("1", Duration::from_secs(1)).await.unwrap();
    assert_eq!(ended.state, WorkflowState::Compensated);
    assert_eq!(ended.turned_back.as_deref(), Some("`payment`: it was not done within 300s"));
    answer(&app, "1", true).await;
    workflow.saga().idle().await.unwrap();
    assert_eq!(workflow.instance("1").await.unwrap().unwrap(), ended);
    assert_eq!(booked(&app, "stock").await, 1, "that of the other order");
}

fn ada() -> Audit {
    Audit::new("ada", "I have looked at it")
}

/// Behind the pivot, mail is refused again and again.
async fn waiting(world: &World) -> App {
    let app = world.app().workflow::<Fulfilment>().start().await.unwrap();
    want(&app, "1", Some("mail")).await;
    let ended = carried_through(&app, Some(true)).await;
    let WorkflowState::Waiting { why, .. } = &ended.state else { panic!("{ended:?}") };
    assert_eq!(why, "the step `mail` has failed 3 times, and there is no way back: refused");
    app
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_person_is_listed_retried_and_forced() {
    let world = World::new();
    let app = waiting(&world).await;
    app.shutdown().await.unwrap();
    let app = world.app().workflow::<Fulfilment>().start().await.unwrap();
    let workflow = app.workflow::<Fulfilment>().unwrap();
    workflow.saga().idle().await.unwrap();
    let [waits] = workflow.waiting(10).await.unwrap().try_into().unwrap();
    assert_eq!(waits.steps.last(), Some(&("mail".to_owned(), StepState::Executing(Phase::Sent))));

    workflow.retry("1", ada()).await.unwrap();
    workflow.saga().idle().await.unwrap();
    let WorkflowState::Waiting { why, command: Some(command), .. } =
        workflow.instance("1").await.unwrap().unwrap().state
    else {
        panic!("it was refused again")
    };
    assert!(why.contains("has failed 4 times"), "{why}");
    let wrong = workflow.force("1", command, "seven", ada()).await.unwrap_err();
    assert!(
        matches!(&wrong, SagaError::Reply { why } if why.contains("the reply \"seven\" cannot be read")),
        "{wrong}"
    );
    workflow.force("1", command, 7, ada()).await.unwrap();
    let ended = workflow.ended("1", HOUR).await.unwrap();
    assert_eq!((ended.state, ended.data.unwrap().letters), (WorkflowState::Done, Some(7)));
    workflow.saga().idle().await.unwrap();
    assert_eq!(workflow.waiting(10).await.unwrap(), []);
    let again = workflow.skip("1", command, Audit::new("bob", "so have I")).await.unwrap_err();
    assert_eq!(again, SagaError::NotPending { saga: "fulfilment", key: "1".to_owned(), effect: command });

    let log = world.log().await;
    let by_hand: Vec<_> = log.iter().filter(|record| record.metadata().actor.as_deref() == Some("ada")).collect();
    assert_eq!(
        by_hand.iter().map(|record| record.type_name()).collect::<Vec<_>>(),
        ["saga-released", "saga-input-taken"]
    );
    assert!(by_hand.iter().all(|record| String::from_utf8_lossy(record.payload()).contains("I have looked at it")));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_person_is_skipped() {
    let world = World::new();
    let app = waiting(&world).await;
    let workflow = app.workflow::<Fulfilment>().unwrap();
    workflow.saga().idle().await.unwrap();
    let WorkflowState::Waiting { command: Some(command), .. } = workflow.waiting(1).await.unwrap()[0].state.clone()
    else {
        panic!("it waits for a command")
    };
    workflow.skip("1", command, ada()).await.unwrap();
    let ended = workflow.ended("1", HOUR).await.unwrap();
    assert_eq!((ended.state, ended.steps.last().unwrap().1), (WorkflowState::Done, StepState::GivenUp));
    assert_eq!(booked(&app, "mail").await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_compensation_that_fails_waits_for_a_person() {
    let world = World::new();
    let app = world.app().workflow::<Fulfilment>().start().await.unwrap();
    let workflow = app.workflow::<Fulfilment>().unwrap();
    want(&app, "1", Some("undo")).await;
    workflow.saga().idle().await.unwrap();
    answer(&app, "1", false).await;
    let waits = workflow.ended("1", HOUR).await.unwrap();
    let WorkflowState::Waiting { why, command: Some(command), .. } = waits.state else { panic!("{waits:?}") };
    assert_eq!(why, "the compensation of `stock` has failed 2 times: refused");
    // The reply of a compensation is not read, so anything will do.
    workflow.force("1", command, "by telephone", ada()).await.unwrap();
    let ended = workflow.ended("1", HOUR).await.unwrap();
    assert_eq!((ended.state, ended.steps[0].1), (WorkflowState::Compensated, StepState::Compensated));
    assert_eq!(booked(&app, "stock").await, 1, "nobody has undone it here");
}

#[tokio::test(start_paused = true)]
async fn a_renamed_step_is_known_by_its_old_name_and_a_lost_one_keeps_the_app_from_starting() {
    let world = World::new();
    let app = world.app().workflow::<Fulfilment>().start().await.unwrap();
    want(&app, "1", None).await;
    app.workflow::<Fulfilment>().unwrap().saga().idle().await.unwrap();
    app.shutdown().await.unwrap();

    let lost = world.app().workflow::<Fulfilment<1, LOST>>().start().await.unwrap_err();
    let StartError::Sagas(saga::StartError::Unfit { count: 1, example, why, .. }) = &lost else { panic!("{lost:?}") };
    assert_eq!(example, "1");
    assert!(why.contains("has no step `stock` any more; if it was renamed, say `.formerly(\"stock\")`"), "{why}");
    let other = world.app().workflow::<Fulfilment<3, SAME>>().start().await.unwrap_err();
    assert!(matches!(other, StartError::Sagas(saga::StartError::Version { recorded: 1, version: 3, .. })), "{other:?}");

    let app = world.app().workflow::<Fulfilment<2, RENAMED>>().start().await.unwrap();
    answer(&app, "1", false).await;
    let ended = app.workflow::<Fulfilment<2, RENAMED>>().unwrap().ended("1", HOUR).await.unwrap();
    assert_eq!((ended.state, booked(&app, "stock").await), (WorkflowState::Compensated, 0));
    assert_eq!(ended.steps[0], ("stock".to_owned(), StepState::Compensated));
}
