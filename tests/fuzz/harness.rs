//! Fuzzing for decoders that are private to their package, which includes this file in its tests: valid inputs are changed at random,
//! and what led to an outcome that was not seen before is changed further. That stands in for coverage, which a stable compiler
//! does not give to a test.
//!
//! What is kept in `tests/fuzz/corpus/<target>/` is replayed first, each time. `ANNALIST_FUZZ_INPUTS` says how many inputs follow,
//! `ANNALIST_SEED` which; with `ANNALIST_FUZZ_KEEP` new outcomes are kept. An input that panics is kept always.

#![expect(clippy::print_stdout, reason = "a run says what it did, and where what it found is kept")]

use std::{
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
};

/// Inputs of the short form.
const INPUTS: u64 = 3_000;
const INPUT_BYTES_MAX: usize = 64 * 1024;
/// Longer inputs are kept only if they panic: the corpus is in the repository.
const KEPT_BYTES_MAX: usize = 1024;
const CHANGES_MAX: usize = 6;
/// Numbers that are at the edge of something.
const EDGES: [u64; 12] = [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX - 1, u64::MAX];

/// Something that takes bytes.
pub(crate) struct Target<'a> {
    /// Its name, and that of its corpus.
    pub(crate) name: &'static str,
    /// Inputs that it takes.
    pub(crate) seeds: Vec<Vec<u8>>,
    /// Puts checksums right, so that what is behind them is reached.
    pub(crate) repair: &'a dyn Fn(&mut Vec<u8>),
    /// Takes an input and says in few words what became of it; panics where that must not be.
    pub(crate) run: &'a dyn Fn(&[u8]) -> String,
}

/// A small generator of pseudo-random numbers (`SplitMix64`).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end.max(1) as u64).unwrap_or_default()
    }
}

impl Target<'_> {
    /// Replays what is kept and goes on from there.
    pub(crate) fn fuzz(&self) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus").join(self.name);
        let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
        let mut random = Random(number("ANNALIST_SEED").unwrap_or(1));
        let mut pool = kept(&corpus);
        pool.extend(self.seeds.iter().cloned());
        let mut seen: BTreeSet<String> = pool.iter().map(|input| self.attempt(&corpus, input)).collect();
        let inputs = number("ANNALIST_FUZZ_INPUTS").unwrap_or(INPUTS);
        for _ in 0..inputs {
            let mut input = pool[random.below(pool.len())].clone();
            for _ in 0..=random.below(CHANGES_MAX) {
                change(&mut input, &pool, &mut random);
            }
            input.truncate(INPUT_BYTES_MAX);
            if random.below(4) > 0 {
                (self.repair)(&mut input);
            }
            if seen.insert(self.attempt(&corpus, &input)) {
                if input.len() <= KEPT_BYTES_MAX && std::env::var_os("ANNALIST_FUZZ_KEEP").is_some() {
                    keep(&corpus, "seen", &input);
                }
                pool.push(input);
            }
        }
        println!("{}: {inputs} inputs, {} outcomes", self.name, seen.len());
    }

    fn attempt(&self, corpus: &Path, input: &[u8]) -> String {
        catch_unwind(AssertUnwindSafe(|| (self.run)(input))).unwrap_or_else(|panic| {
            println!("{} panics; kept: {}", self.name, keep(corpus, "panics", input).display());
            resume_unwind(panic)
        })
    }
}

fn kept(corpus: &Path) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(corpus).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("what is kept can be read")).collect()
}

/// Keeps an input under a name that follows from its bytes.
fn keep(corpus: &Path, why: &str, input: &[u8]) -> PathBuf {
    let sum = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3) // FNV-1a
    });
    let file = corpus.join(format!("{why}-{sum:016x}"));
    fs::create_dir_all(corpus).and_then(|()| fs::write(&file, input)).expect("an input can be kept");
    file
}

/// One change.
fn change(input: &mut Vec<u8>, pool: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len());
    let some = random.below(32) + 1;
    match random.below(8) {
        0 | 1 => input.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << random.below(8)),
        2 => {
            let edge = EDGES[random.below(EDGES.len())].to_le_bytes();
            let width = [1, 2, 4, 8][random.below(4)];
            input.iter_mut().skip(at).zip(edge.iter().take(width)).for_each(|(byte, new)| *byte = *new);
        }
        3 => input.iter_mut().skip(at).take(1).for_each(|byte| *byte = byte.wrapping_add(1)),
        4 => drop(input.drain(at..input.len().min(at + some))),
        5 => {
            let part = input[at..input.len().min(at + some * 4)].to_vec();
            input.splice(at..at, part);
        }
        6 => {
            let other = &pool[random.below(pool.len())];
            let from = random.below(other.len());
            let part = other[from..other.len().min(from + some * 8)].to_vec();
            input.splice(at..input.len().min(at + part.len()), part);
        }
        _ => input.truncate(at),
    }
}
