//! Decisions on everything that matches a query.

use std::future::IntoFuture;

use annalist::{
    App, Append, AppendError, CommandError, CommandOptions, DecodeError, EventId, EventStore, EventType, ExecuteError,
    Expected, LoadError, NewEvent, Query, Read, Receipt, Store, StreamId, TestEnv, Version, testing::given_scope,
};
use proptest::prelude::*;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{
    app_on,
    purse::{
        Astray, DAY, Elsewhere, Fill, LARGE, LARGE_MAX, Lighten, Limit, LimitEvent, LookInto, OwnerEvent, Purse,
        PurseEvent, Refused,
    },
    uncached,
    watched::{Act, Notes, Watched},
};

type Lightened = Result<Receipt<u64, ()>, ExecuteError<Refused>>;

async fn fill(app: &App, purse: u32, cents: u64) {
    app.on::<Purse>(purse).execute(Fill { purse, cents }).await.unwrap();
}

fn of_ada(purse: u32, cents: u64) -> Lighten {
    Lighten { owner: "ada".to_owned(), purse, cents }
}

async fn lighten(app: &App, purse: u32, cents: u64) -> Lightened {
    app.scope::<Limit>().execute(of_ada(purse, cents)).await
}

/// An app with full purses 1 to 4.
async fn with_purses() -> (App, Watched, TestEnv) {
    let (watched, env) = (Watched::default(), TestEnv::default());
    let app = App::open(watched.store()).command_options(uncached()).with_env(env.clone()).start().await.unwrap();
    for purse in 1..=4 {
        fill(&app, purse, 1000).await;
    }
    *watched.notes() = Notes::default();
    (app, watched, env)
}

#[tokio::test]
async fn a_rule_holds_across_streams_and_within_its_window() {
    let (app, _, env) = with_purses().await;
    for purse in 1..=3 {
        assert_eq!(lighten(&app, purse, LARGE).await.unwrap().reply, 900);
    }
    assert!(matches!(lighten(&app, 4, LARGE).await, Err(ExecuteError::Rejected(Refused::LimitReached))));
    // A small one is not counted, nor is that of another owner.
    lighten(&app, 4, LARGE - 1).await.unwrap();
    let of_bob = Lighten { owner: "bob".to_owned(), ..of_ada(4, LARGE) };
    app.scope::<Limit>().execute(of_bob).await.unwrap();
    env.advance(DAY);
    lighten(&app, 4, LARGE).await.unwrap();
}

#[tokio::test]
async fn an_aggregates_own_stream_is_part_of_the_decision() {
    let (app, watched, _) = with_purses().await;
    assert!(matches!(lighten(&app, 1, 1001).await, Err(ExecuteError::Rejected(Refused::Empty { left: 1000 }))));
    let receipt = lighten(&app, 1, 10).await.unwrap();
    assert_eq!((receipt.reply, receipt.events, receipt.version, receipt.repeated), (990, 1, (), false));
    assert_eq!(receipt.cursor, app.head().await.unwrap());
    let purse = app.load::<Purse>(&1).await.unwrap();
    assert_eq!((purse.state.cents, purse.version), (990, Version::new(2)));
    // What an aggregate decides meanwhile is seen.
    let other = app.clone();
    watched.notes().at_appends.push_back(Act::First(Box::pin(async move { fill(&other, 1, 10).await })));
    assert_eq!(lighten(&app, 1, 10).await.unwrap().reply, 990);
}

#[tokio::test]
async fn each_event_goes_home() {
    let (app, watched, _) = with_purses().await;
    for purse in 1..=2 {
        lighten(&app, purse, LARGE).await.unwrap();
    }
    assert_eq!(lighten(&app, 1, LARGE).await.unwrap().events, 2);
    let append = watched.notes().appends.pop().unwrap();
    let homes: Vec<_> =
        append.entries.iter().map(|entry| (entry.stream.as_str(), entry.expected, entry.events.len())).collect();
    assert_eq!(homes, [("purse-1", Expected::Any, 1), ("owner-ada", Expected::Any, 1)]);
}

#[tokio::test]
async fn what_matches_meanwhile_makes_it_decide_again_from_the_news_alone() {
    let (app, watched, _) = with_purses().await;
    lighten(&app, 1, LARGE).await.unwrap();
    lighten(&app, 2, LARGE).await.unwrap();
    *watched.notes() = Notes::default();
    let other = app.clone();
    watched.notes().at_appends.push_back(Act::First(Box::pin(async move {
        lighten(&other, 3, LARGE).await.unwrap();
    })));
    let refused = lighten(&app, 4, LARGE).await;
    assert!(matches!(refused, Err(ExecuteError::Rejected(Refused::LimitReached))), "{refused:?}");
    let notes = watched.notes();
    let bounds: Vec<_> = notes.reads.iter().map(|read| read.source.clone()).collect();
    let annalist_core::Source::Query { bound, .. } = &bounds[2] else { panic!("{bounds:?}") };
    assert_eq!(bound.get(), 6, "the second decision reads behind what the first has seen");
}

#[tokio::test]
async fn what_does_not_match_disturbs_nobody() {
    let (app, watched, _) = with_purses().await;
    let other = app.clone();
    watched.notes().at_appends.push_back(Act::First(Box::pin(async move { fill(&other, 4, 1).await })));
    lighten(&app, 1, LARGE).await.unwrap();
    assert_eq!(watched.notes().appends.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn attempts_are_bounded_and_say_what_was_in_the_way() {
    let (app, watched, _) = with_purses().await;
    let query = Query::all();
    let failed = || AppendError::ConditionFailed { number: 1, query: query.clone(), first: annalist::Position::new(1) };
    let attempts = CommandOptions::default().attempts_max;
    watched.notes().at_appends.extend((0..attempts).map(|_| Act::Refuse(failed())));
    let error = lighten(&app, 1, 1).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "others added to events of the query (stream `purse-1`; or type `purse-lightened`, tag `large:ada`; or type \
         `owner-blocked`, stream `owner-ada`) at each of 32 attempts; try again later"
    );
    assert!(error.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn a_read_that_fails_half_way_folds_nothing_twice() {
    let (app, watched, _) = with_purses().await;
    lighten(&app, 1, 10).await.unwrap();
    // The first decision is made in vain, and the news cannot be read to its end.
    let other = app.clone();
    let fills = Box::pin(async move {
        for _ in 0..3 {
            fill(&other, 1, 10).await;
        }
    });
    watched.notes().at_appends.push_back(Act::First(fills));
    watched.notes().breaks.extend([false, false, false, false, true]);
    assert_eq!(lighten(&app, 1, 10).await.unwrap().reply, 1010);
    assert!(watched.notes().breaks.is_empty());
}

#[tokio::test]
async fn a_key_records_it_once() {
    let (app, watched, _) = with_purses().await;
    let execute = |cents| app.scope::<Limit>().execute(of_ada(1, cents)).key("request-1").into_future();
    let first = execute(LARGE).await.unwrap();
    lighten(&app, 1, 5).await.unwrap();
    *watched.notes() = Notes::default();
    let again = execute(LARGE).await.unwrap();
    let mut expected = first.clone();
    expected.repeated = true;
    assert_eq!(again, expected);
    let asked = {
        let notes = watched.notes();
        (notes.reads.len(), notes.appends.len())
    };
    assert_eq!(asked, (0, 0), "nothing is loaded or decided");
    let reused = execute(LARGE + 1).await;
    assert!(matches!(&reused, Err(ExecuteError::Failed(CommandError::KeyReused { .. }))), "{reused:?}");
    let app = app_on(&watched).await;
    assert!(app.scope::<Limit>().execute(of_ada(1, LARGE)).key("request-1").await.unwrap().repeated);
}

#[tokio::test]
async fn an_answer_without_events_holds_when_it_is_given() {
    let (app, watched, _) = with_purses().await;
    let look = || app.scope::<Limit>().execute(LookInto { purse: 1 });
    let other = app.clone();
    watched.notes().at_appends.push_back(Act::First(Box::pin(async move { fill(&other, 1, 10).await })));
    let receipt = look().await.unwrap();
    assert_eq!((receipt.reply, receipt.events, receipt.cursor), (1010, 0, app.head().await.unwrap()));
    let first = look().key("request-1").await.unwrap();
    fill(&app, 1, 10).await;
    let again = look().key("request-1").await.unwrap();
    assert_eq!((again.reply, again.events, again.repeated, again.cursor), (1010, 0, true, first.cursor));
}

async fn append_by_hand(watched: &Watched, stream: &str, name: &'static str, tag: Option<&'static str>) {
    let event = NewEvent::new(EventId::new(Uuid::from_u128(9)), EventType::new(name).unwrap(), "{}");
    let event = event.with_tags(tag.map(|tag| annalist::Tag::new(tag).unwrap()));
    let stream = StreamId::new(stream.to_owned()).unwrap();
    watched.memory.append(Append::new().events(stream, Expected::Any, [event])).await.unwrap();
}

#[tokio::test]
async fn other_categories_are_passed_over_and_what_is_not_declared_is_told() {
    let (app, watched, _) = with_purses().await;
    append_by_hand(&watched, "balloon-1", "purse-lightened", Some("large:ada")).await;
    lighten(&app, 1, LARGE).await.unwrap();
    append_by_hand(&watched, "purse-1", "purse-lost", None).await;
    let failed = lighten(&app, 1, 1).await;
    let Err(ExecuteError::Failed(CommandError::Load(LoadError::Unreadable { stream, version, source }))) = failed
    else {
        panic!("{failed:?}")
    };
    assert_eq!((stream.as_str(), version), ("purse-1", Version::new(3)));
    assert_eq!(source, DecodeError::UnknownType { name: "purse-lost".to_owned() });
    lighten(&app, 2, 1).await.unwrap();
}

#[tokio::test]
async fn an_event_is_not_recorded_in_a_stream_of_another_category() {
    let (app, watched, _) = with_purses().await;
    let failed = app.scope::<Astray>().execute(Fill { purse: 1, cents: 1 }).await;
    let Err(ExecuteError::Failed(CommandError::Unrecordable(why))) = failed else { panic!("{failed:?}") };
    let said = "an event of category `purse` cannot be recorded in stream `owner-ada`; let `Scope::home` name one of \
                its own";
    assert_eq!(why.to_string(), said);
    assert!(watched.notes().appends.is_empty());
}

#[tokio::test]
async fn an_event_is_recorded_in_the_stream_that_it_says_or_not_at_all() {
    let (app, watched, _) = with_purses().await;
    let failed = app.scope::<Elsewhere>().execute(Fill { purse: 1, cents: 1 }).await;
    let Err(ExecuteError::Failed(CommandError::Unrecordable(why))) = failed else { panic!("{failed:?}") };
    let said =
        "an event that stands in stream `purse-2` cannot be recorded in `purse-1`; let `Scope::home` name its stream";
    assert_eq!(why.to_string(), said);
    assert!(watched.notes().appends.is_empty());
}

#[test]
fn the_testing_kit_decides_on_what_the_query_finds() {
    let filled = |purse| LimitEvent::Purse(PurseEvent::Filled { purse, cents: 500 });
    let taken = |purse, micros| {
        let (cents, large_of) = (LARGE, Some("ada".to_owned()));
        let at_micros = TestEnv::START.as_micros() + micros;
        LimitEvent::Purse(PurseEvent::Lightened { purse, cents, at_micros, large_of })
    };
    given_scope::<Limit>([filled(1), taken(2, 0), taken(3, 0)])
        .when(of_ada(1, LARGE))
        .then_emits([taken(1, 0), OwnerEvent::LimitReached { owner: "ada".to_owned() }.into()])
        .then_replies(400);
    given_scope::<Limit>([filled(1), taken(2, 0), taken(3, 0), taken(4, 0)])
        .when(of_ada(1, LARGE))
        .then_rejected(Refused::LimitReached);
}

/// Owners who are let in once, asked at several moments and by several doors.
fn some_commands() -> impl Strategy<Value = Vec<(u8, u32, u64)>> {
    prop::collection::vec((0..2_u8, 1..=4_u32, prop::sample::select(vec![1, LARGE - 1, LARGE, 2 * LARGE])), 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn at_most_three_large_withdrawals_whoever_is_first(commands in some_commands()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(at_most_three(commands));
    }
}

async fn at_most_three(commands: Vec<(u8, u32, u64)>) {
    let mut options = CommandOptions::default();
    options.attempts_max = 1000;
    let app = App::open(Store::memory()).command_options(options).with_env(TestEnv::default()).start().await.unwrap();
    for purse in 1..=4 {
        fill(&app, purse, 1000).await;
    }
    let wanted = |owner: u8| commands.iter().filter(|(of, _, cents)| *of == owner && *cents >= LARGE).count();
    let wanted = [wanted(0), wanted(1)];
    let mut running = JoinSet::new();
    for (owner, purse, cents) in commands {
        let lighten = Lighten { owner: owner.to_string(), purse, cents };
        running.spawn(app.scope::<Limit>().execute(lighten).into_future());
    }
    let mut emptied = false;
    while let Some(done) = running.join_next().await {
        match done.unwrap() {
            Ok(_) | Err(ExecuteError::Rejected(Refused::LimitReached)) => {}
            Err(ExecuteError::Rejected(Refused::Empty { .. })) => emptied = true,
            Err(other) => panic!("{other}"),
        }
    }
    for (owner, wanted) in (0..).zip(wanted) {
        let large = Query::tags([annalist::Tag::new(format!("large:{owner}")).unwrap()]);
        let mut found = app.store().events().read(Read::query(large, annalist::Position::ZERO)).await.unwrap();
        let count = found.next().await.unwrap().len();
        assert!(count <= LARGE_MAX, "{count} of owner {owner}");
        assert!(emptied || count == wanted.min(LARGE_MAX), "{count} of {wanted} of owner {owner}");
    }
    for purse in 1..=4 {
        // Folding it panics when a purse was overdrawn.
        app.load::<Purse>(&purse).await.unwrap();
    }
}
