//! Against a model that keeps, for each stream, what was offered and how much of it is settled.

use proptest::prelude::*;

use super::*;

const RULES: Rules = Rules {
    attempts_max: 3,
    answer_within: Duration::from_secs(10),
    open_max: 1000,
    parked_max: 1000,
    bytes_max: 1024 * 1024,
};

#[derive(Clone, Debug)]
enum Step {
    Offer {
        stream: u8,
    },
    Join {
        most: usize,
    },
    Leave {
        which: usize,
        said_so: bool,
    },
    HandOut,
    Ack {
        which: usize,
    },
    Nack {
        which: usize,
        seconds: u64,
    },
    /// An answer that was given before, or that another member owes.
    Stale {
        which: usize,
    },
    Wait {
        seconds: u64,
    },
    Replay {
        which: usize,
    },
    Skip {
        which: usize,
    },
    /// The server is killed and started again.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..4_u8).prop_map(|stream| Step::Offer { stream }),
        1 => (1..4_usize).prop_map(|most| Step::Join { most }),
        1 => (0..8_usize, any::<bool>()).prop_map(|(which, said_so)| Step::Leave { which, said_so }),
        6 => Just(Step::HandOut),
        3 => (0..8_usize).prop_map(|which| Step::Ack { which }),
        3 => (0..8_usize, 0..4_u64).prop_map(|(which, seconds)| Step::Nack { which, seconds }),
        1 => (0..8_usize).prop_map(|which| Step::Stale { which }),
        2 => (0..12_u64).prop_map(|seconds| Step::Wait { seconds }),
        1 => (0..4_usize).prop_map(|which| Step::Replay { which }),
        1 => (0..4_usize).prop_map(|which| Step::Skip { which }),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 0..200)
}

/// What must be true of a group.
struct Model {
    group: Group,
    now: Duration,
    offered: u64,
    /// What is not settled, by stream, in order.
    unsettled: BTreeMap<u8, VecDeque<u64>>,
    members: BTreeMap<Member, usize>,
    next_member: Member,
    /// What is with whom, and until when.
    with: Vec<(u8, HandedOut, Duration)>,
    answered: Vec<HandedOut>,
    /// How often each was handed out, since it was last replayed.
    attempts: BTreeMap<u64, u32>,
}

impl Model {
    fn new() -> Self {
        Self {
            group: Group::new(RULES),
            now: Duration::ZERO,
            offered: 0,
            unsettled: BTreeMap::new(),
            members: BTreeMap::new(),
            next_member: 0,
            with: Vec::new(),
            answered: Vec::new(),
            attempts: BTreeMap::new(),
        }
    }

    fn take(&mut self, which: usize) -> Option<HandedOut> {
        (!self.with.is_empty()).then(|| self.with.remove(which % self.with.len()).1)
    }

    fn stream_of(&self, position: u64) -> u8 {
        let found = self.unsettled.iter().find(|(_, positions)| positions.contains(&position));
        *found.expect("only what is not settled is handed out or parked").0
    }

    fn settled(&mut self, position: u64) {
        let stream = self.stream_of(position);
        let first = self.unsettled.get_mut(&stream).and_then(VecDeque::pop_front);
        assert_eq!(first, Some(position), "the events of a stream are settled in order");
    }

    fn hand_out(&mut self) {
        let Some(handed) = self.group.hand_out(self.now) else {
            return;
        };
        let stream = self.stream_of(handed.position);
        assert_eq!(self.unsettled[&stream].front(), Some(&handed.position), "the first of its stream");
        assert!(self.with.iter().all(|(other, ..)| *other != stream), "a stream is with one member");
        let has = self.with.iter().filter(|(_, other, _)| other.member == handed.member).count();
        assert!(has < self.members[&handed.member], "a member has no more than it takes");
        let attempts = self.attempts.entry(handed.position).or_default();
        *attempts += 1;
        assert_eq!(*attempts, handed.attempt, "attempts are counted");
        assert!(handed.attempt <= RULES.attempts_max, "and have a bound");
        self.with.push((stream, handed, self.now + RULES.answer_within));
    }

    fn leave(&mut self, which: usize, said_so: bool) {
        let Some(&member) = self.members.keys().nth(which) else { return };
        self.members.remove(&member);
        self.group.leave(member, said_so);
        let (gone, kept) = self.with.drain(..).partition(|(_, handed, _)| handed.member == member);
        self.with = kept;
        let gone: Vec<(u8, HandedOut, Duration)> = gone;
        for (_, handed, _) in gone {
            self.answered.push(handed);
            if said_so {
                *self.attempts.entry(handed.position).or_default() -= 1;
            }
        }
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.group.pass(self.now);
        let now = self.now;
        let (late, kept) = self.with.drain(..).partition(|(_, _, until)| *until <= now);
        self.with = kept;
        let late: Vec<(u8, HandedOut, Duration)> = late;
        self.answered.extend(late.into_iter().map(|(_, handed, _)| handed));
        assert!(self.group.next_timer().is_none_or(|due| due > now), "nothing is overdue");
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Offer { stream } => {
                self.offered += 1;
                self.group.offer(self.offered, &stream.to_string());
                self.unsettled.entry(stream).or_default().push_back(self.offered);
            }
            Step::Join { most } => {
                self.next_member += 1;
                self.members.insert(self.next_member, most);
                self.group.join(self.next_member, most);
            }
            Step::Leave { which, said_so } => self.leave(which, said_so),
            Step::HandOut => self.hand_out(),
            Step::Ack { which } => {
                let Some(handed) = self.take(which) else { return };
                assert!(self.group.ack(handed), "it was its to answer for");
                self.settled(handed.position);
                self.answered.push(handed);
            }
            Step::Nack { which, seconds } => {
                let Some(handed) = self.take(which) else { return };
                assert!(self.group.nack(handed, self.now, Duration::from_secs(seconds), "no".to_owned()));
                self.answered.push(handed);
            }
            Step::Stale { which } => {
                let Some(&handed) = self.answered.get(which) else { return };
                let open = self.with.iter().any(|(_, other, _)| *other == handed);
                assert!(open || !self.group.ack(handed), "an answer counts once");
                let stranger = HandedOut { member: Member::MAX, ..handed };
                assert!(
                    !self.group.ack(stranger) && !self.group.nack(stranger, self.now, Duration::ZERO, String::new())
                );
                if open {
                    return;
                }
                assert!(!self.group.nack(handed, self.now, Duration::ZERO, String::new()));
            }
            Step::Wait { seconds } => self.wait(seconds),
            Step::Replay { which } => {
                let Some(parked) = self.group.parked().nth(which) else { return };
                assert!(self.group.replay(parked.position) && !self.group.replay(parked.position));
                self.attempts.insert(parked.position, 0);
            }
            Step::Skip { which } => {
                let Some(parked) = self.group.parked().nth(which) else { return };
                assert!(self.group.skip(parked.position) && !self.group.skip(parked.position));
                self.settled(parked.position);
            }
            Step::Restart => {
                let (kept, untouched): (Vec<_>, _) = (self.group.unsettled().collect(), self.group.untouched());
                self.group = Group::restored(RULES, kept.clone());
                assert_eq!(self.group.untouched(), None, "what is kept is before it");
                self.members.clear();
                self.with.clear();
                for (before, after) in kept.iter().zip(self.group.unsettled()) {
                    assert_eq!((before.position, before.attempts), (after.position, after.attempts));
                    assert!(before.parked.is_none() || before.parked == after.parked, "what is parked stays parked");
                }
                // As the log has them.
                for (position, stream) in self.log(untouched.unwrap_or(u64::MAX)) {
                    assert!(!self.attempts.contains_key(&position), "nobody has ever had it");
                    self.group.offer(position, &stream.to_string());
                }
            }
        }
    }

    /// What was offered from there on, and the streams of it.
    fn log(&self, from: u64) -> BTreeMap<u64, u8> {
        (from..=self.offered).map(|position| (position, self.stream_of(position))).collect()
    }

    /// What the group says of itself.
    fn check(&self) {
        let known: BTreeSet<u64> = self.unsettled.values().flatten().copied().collect();
        let kept = self.group.unsettled().map(|item| item.position);
        let again = self.group.untouched().map_or(0..0, |first| first..self.offered + 1);
        assert_eq!(
            kept.chain(again).collect::<BTreeSet<_>>(),
            known,
            "nothing is lost, and nothing settled comes again"
        );
        let bytes: usize = self.group.streams.values().map(|stream| stream.len() + ITEM_BYTES).sum();
        let reasons: usize = self.group.parked().map(|parked| parked.why.len()).sum();
        assert_eq!(self.group.bytes, bytes + reasons);
        let held: usize = self.group.parked().map(|parked| 1 + parked.behind).sum();
        assert_eq!(self.group.open() + held, known.len());
        let parked: BTreeSet<u64> = self.group.parked().map(|parked| parked.position).collect();
        assert!(self.with.iter().all(|(_, handed, _)| !parked.contains(&handed.position)), "parked is with nobody");
    }
}

proptest! {
    #[test]
    fn whatever_happens_order_holds_and_nothing_is_lost(steps in steps()) {
        let mut model = Model::new();
        for step in &steps {
            model.step(step);
            model.check();
        }
        // In the end a member that does its work finds everything.
        model.step(&Step::Join { most: 100 });
        while !model.unsettled.values().all(VecDeque::is_empty) {
            model.wait(20);
            model.step(&Step::Replay { which: 0 });
            model.hand_out();
            while !model.with.is_empty() {
                model.step(&Step::Ack { which: 0 });
            }
        }
        prop_assert_eq!(model.group.unsettled().count(), 0);
        prop_assert_eq!((model.group.untouched(), model.group.bytes), (None, 0));
        prop_assert!(model.group.next_timer().is_none());
    }
}

fn group(rules: Rules) -> Group {
    let mut group = Group::new(rules);
    group.join(1, 10);
    group.join(2, 10);
    group
}

#[test]
fn a_stream_waits_for_its_parked_event_and_others_go_on() {
    let mut group = group(RULES);
    for (position, stream) in [(1, "a"), (2, "a"), (3, "b")] {
        group.offer(position, stream);
    }
    for attempt in 1..=RULES.attempts_max {
        let handed = group.hand_out(Duration::ZERO).expect("an event");
        assert_eq!((handed.position, handed.attempt), (1, attempt));
        assert!(group.nack(handed, Duration::ZERO, Duration::ZERO, "it is broken".to_owned()));
    }
    let parked: Vec<Parked> = group.parked().collect();
    assert_eq!(
        parked.iter().map(|parked| (parked.position, parked.behind, &*parked.why)).collect::<Vec<_>>(),
        [(1, 1, "it is broken")]
    );
    let handed = group.hand_out(Duration::ZERO).expect("the other stream goes on");
    assert_eq!((handed.position, group.hand_out(Duration::ZERO)), (3, None));
    assert!(group.skip(1));
    assert_eq!(group.hand_out(Duration::ZERO).map(|handed| (handed.position, handed.attempt)), Some((2, 1)));
}

#[test]
fn members_share_and_bounds_hold() {
    let mut group = group(Rules { open_max: 2, parked_max: 1, attempts_max: 1, ..RULES });
    group.offer(1, "a");
    assert!(group.has_room());
    group.offer(2, "b");
    assert!(!group.has_room(), "two are open");
    let (first, second) = (group.hand_out(Duration::ZERO), group.hand_out(Duration::ZERO));
    let (first, second) = (first.expect("an event"), second.expect("another"));
    assert_ne!(first.member, second.member, "each has one");
    assert!(group.ack(second));
    assert!(group.nack(first, Duration::ZERO, Duration::ZERO, String::new()));
    assert!(!group.has_room(), "one is parked");
}
