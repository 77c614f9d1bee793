//! The whole path with the real program, the real store and a real NATS server.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what goes wrong fails the test")]

#[expect(unreachable_pub, reason = "a module that this test shares with nobody")]
mod support;

use std::{
    collections::HashSet,
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    process::{Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use support::{ROWS, Shop, figures, lines, run};

const STEPS: u64 = 3;

/// What the file's rows add up to, counted in the plainest way.
fn expected(lines: &[String]) -> (u64, u64, u64) {
    let rows: Vec<Vec<&str>> = lines.iter().skip(1).map(|line| line.split(',').collect()).collect();
    let mut customers: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    customers.sort_unstable();
    customers.dedup();
    let cds: u64 = rows.iter().map(|row| row[2].parse::<u64>().unwrap()).sum();
    let cents: u64 = rows.iter().map(|row| row[3].replace('.', "").parse::<u64>().unwrap()).sum();
    (customers.len() as u64, cds, cents)
}

#[test]
fn a_second_run_appends_nothing_and_gives_the_same_totals() {
    let lines = lines();
    let shop = Shop::new(&lines);
    let output = run(shop.command("import"), 0);
    let first = shop.summary();
    let events = STEPS * ROWS as u64;
    assert_eq!((first.orders, first.events_appended), (ROWS as u64, events));
    assert_eq!((first.events_total, first.published), (events, events));
    assert_eq!((first.customers, first.cds, first.revenue_cents), expected(&lines));
    assert_eq!(first.revenue_by_month.values().sum::<u64>(), first.revenue_cents);
    assert_eq!(first.top_customers.len(), 5);
    assert!(first.top_customers.is_sorted_by_key(|top| std::cmp::Reverse(top.cents)));
    assert!(String::from_utf8_lossy(&output.stdout).contains("top customers"));

    run(shop.command("import"), 0);
    let second = shop.summary();
    assert_eq!(second.events_appended, 0);
    assert_eq!(figures(second), figures(first));
}

#[test]
fn killed_at_any_moment_and_started_again_it_ends_the_same() {
    let lines = lines();
    let undisturbed = Shop::new(&lines);
    let begun = Instant::now();
    run(undisturbed.command("import"), 0);
    let lasted = begun.elapsed();

    let shop = Shop::new(&lines);
    let mut random = Random(0x0dd5_eed5);
    let (mut kills, mut tries) = (0, 0);
    while kills < 6 && tries < 30 {
        tries += 1;
        let mut import = shop.start_import();
        sleep(lasted.mul_f64(random.next()));
        import.kill().unwrap();
        let status = import.wait().unwrap();
        kills += u32::from(status.signal() == Some(9));
    }
    assert!(kills >= 3, "only {kills} of {tries} runs were killed before they had ended");
    run(shop.command("import"), 0);

    let (expected, found) = (undisturbed.summary(), shop.summary());
    assert_eq!(figures(found), figures(expected), "after {kills} kills");
    let (expected, found) = (undisturbed.published(), shop.published());
    assert_eq!(found.len(), expected.len());
    assert_eq!(found.iter().collect::<HashSet<_>>().len(), found.len(), "each message is stored once");
    assert_eq!(found.iter().collect::<HashSet<_>>(), expected.iter().collect());
}

#[test]
fn bad_rows_are_reported_and_once_corrected_they_are_imported() {
    let good = lines();
    let mut spoiled = good.clone();
    spoiled[7] = "00001,1997-02-30,1,11.77".to_owned();
    spoiled[100] = "no order at all".to_owned();
    let (customer, rest) = good[1_000].split_once(',').unwrap();
    spoiled[1_000] = format!("{customer}x,{rest}");
    spoiled[2_000] = "00001,1997-01-01,0,11.77".to_owned();

    let shop = Shop::new(&spoiled);
    let output = run(shop.offline("import"), 3);
    let told = String::from_utf8_lossy(&output.stderr);
    for reason in [
        "line 8: `1997-02-30` is not a day such as 1997-01-31",
        "line 101: it has 1 fields; 4 are needed: customer,date,cds,dollars",
        &format!("line 1001: `{customer}x` is not a customer: five digits"),
        "line 2001: an order needs at least one CD",
        "4 bad rows",
    ] {
        assert!(told.contains(reason), "{reason}\nis not in\n{told}");
    }
    let first = shop.summary();
    assert_eq!((first.orders, first.events_appended), (1_996, 1_996 * STEPS));

    shop.set_lines(&good);
    run(shop.offline("import"), 0);
    let second = shop.summary();
    assert_eq!((second.orders, second.events_appended), (2_000, 4 * STEPS));
    assert_eq!((second.customers, second.cds, second.revenue_cents), expected(&good));
}

#[test]
fn a_row_that_was_changed_afterwards_is_reported() {
    let mut lines = lines()[..11].to_vec();
    let shop = Shop::new(&lines);
    run(shop.offline("import"), 0);
    lines[5] = "00005,1997-01-01,2,30.00".to_owned();
    shop.set_lines(&lines);
    let told = run(shop.offline("import"), 3).stderr;
    let told = String::from_utf8_lossy(&told);
    assert!(told.contains("line 6: it was imported before with other content"), "{told}");
    assert_eq!(shop.summary().events_appended, 0);
}

#[test]
fn a_rebuild_gives_the_same_totals() {
    let shop = Shop::new(&lines());
    run(shop.offline("import"), 0);
    let before = shop.summary();
    let told = run(shop.offline("rebuild"), 0).stdout;
    assert!(String::from_utf8_lossy(&told).contains("same totals"));
    assert_eq!(figures(shop.summary()), figures(before));
}

#[test]
fn orders_are_fulfilled_or_undone_and_the_books_add_up_also_after_a_kill() {
    let shop = Shop::new(&lines()[..1]);
    let fulfil = || {
        let mut command = shop.offline("fulfil");
        command.args(["--orders", "300"]);
        command
    };
    let mut killed = fulfil().stdout(Stdio::null()).spawn().unwrap();
    sleep(Duration::from_millis(400));
    killed.kill().unwrap();
    killed.wait().unwrap();

    let told = |output: Output| {
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let (_, figures) = told.split_once(" s: ").unwrap();
        figures.to_owned()
    };
    let first = told(run(fulfil(), 0));
    assert!(first.contains("fulfilled") && first.contains("at `reserve`"), "{first}");
    assert_eq!(told(run(fulfil(), 0)), first, "nothing is done twice");
}

#[test]
fn without_nats_the_events_wait_and_are_published_later() {
    let shop = Shop::new(&lines());
    let output = run(shop.offline("import"), 0);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("6,000 events wait"), "{told}");
    assert_eq!(shop.summary().published, 0);

    run(shop.command("import"), 0);
    let summary = shop.summary();
    assert_eq!((summary.events_appended, summary.published), (0, 6_000));
    assert_eq!(shop.published().len(), 6_000);
    let output = run(shop.offline("report"), 0);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("no events wait"), "{told}");
}

#[test]
fn interrupted_it_finishes_what_it_has_begun_and_says_how_to_go_on() {
    let shop = Shop::new(&lines());
    let mut import = shop.start_import();
    let told = wait_until_running(&mut import);
    let interrupt = Command::new("kill").arg("-INT").arg(import.id().to_string()).status().unwrap();
    assert!(interrupt.success());
    let output = import.wait_with_output().unwrap();
    let told = told + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{told}");
    assert!(told.contains("run it again to go on"), "{told}");
    let interrupted = shop.summary();
    assert_eq!(interrupted.events_total, interrupted.orders * STEPS, "every order that was begun is shipped");

    run(shop.command("import"), 0);
    assert_eq!(shop.summary().orders, ROWS as u64);
}

/// Reads what a run tells until it imports.
fn wait_until_running(import: &mut std::process::Child) -> String {
    let mut told = String::new();
    let mut lines = BufReader::new(import.stderr.as_mut().unwrap());
    while !told.contains("importing") {
        assert!(lines.read_line(&mut told).unwrap() > 0, "it ended:\n{told}");
    }
    told + &String::from_utf8_lossy(lines.buffer())
}

/// Numbers from 0 to 1, the same every time (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        f64::from(u32::try_from(self.0 >> 32).unwrap()) / f64::from(u32::MAX)
    }
}
