//! Time, ids and randomness. This is the one place where the framework takes them from the system.

use std::{
    env, fmt,
    fs::File,
    hash::{BuildHasher, DefaultHasher, Hasher, RandomState},
    io::{self, Read},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use annalist_core::Timestamp;
use uuid::Uuid;

/// Where time, ids and randomness come from. Everything that needs one of them is handed an `Arc<dyn Env>`.
///
/// Waiting is not part of it: Tokio's clock can be paused in tests.
pub trait Env: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// A new id, unique in all places.
    fn new_id(&self) -> Uuid;

    /// A number from 0 up to 1, different each time, by which waits are varied.
    fn jitter(&self) -> f64;

    /// Which build of the program this is: by default what its executable consists of. Another build may make something
    /// else of the same events. May block.
    fn program(&self) -> u64 {
        static PROGRAM: OnceLock<u64> = OnceLock::new();
        // One that cannot be told is taken for another each time.
        *PROGRAM.get_or_init(|| executable().unwrap_or_else(|_| RandomState::new().build_hasher().finish()))
    }
}

/// A hash of the running executable.
fn executable() -> io::Result<u64> {
    let (mut file, mut hasher, mut bytes) =
        (File::open(env::current_exe()?)?, DefaultHasher::new(), vec![0; 64 * 1024]);
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(hasher.finish()),
            count => hasher.write(bytes.get(..count).unwrap_or_default()),
        }
    }
}

/// The system's clock, version 7 UUIDs, the system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEnv;

impl Env for SystemEnv {
    #[expect(clippy::disallowed_methods, reason = "this is the framework's clock")]
    fn now(&self) -> Timestamp {
        // A clock before 1970 is a machine without a clock; the store lets time stand still then.
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX))
    }

    #[expect(clippy::disallowed_methods, reason = "this is where the framework's ids come from")]
    fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn jitter(&self) -> f64 {
        fraction(RandomState::new().build_hasher().finish())
    }
}

/// Virtual time, and ids and jitter that are the same in every run. Clones share them.
#[derive(Clone)]
pub struct TestEnv(Arc<Virtual>);

struct Virtual {
    now_micros: AtomicI64,
    ids: AtomicU64,
    jitters: AtomicU64,
}

impl TestEnv {
    /// When virtual time begins, unless a test says otherwise: 2024-01-01T00:00:00Z.
    pub const START: Timestamp = Timestamp::from_micros(1_704_067_200_000_000);

    /// Time stands still at `now` until the test moves it.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        let now_micros = AtomicI64::new(now.as_micros());
        Self(Arc::new(Virtual { now_micros, ids: AtomicU64::new(0), jitters: AtomicU64::new(0) }))
    }

    /// Lets so much time pass.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.0.now_micros.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Default for TestEnv {
    fn default() -> Self {
        Self::at(Self::START)
    }
}

impl Env for TestEnv {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.now_micros.load(Ordering::Relaxed))
    }

    /// 00000000-0000-0000-0000-000000000001, and so on.
    fn new_id(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.ids.fetch_add(1, Ordering::Relaxed)) + 1)
    }

    fn jitter(&self) -> f64 {
        // Multiples of the golden ratio are spread evenly and do not repeat.
        fraction(self.0.jitters.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Always the same.
    fn program(&self) -> u64 {
        0
    }
}

impl fmt::Debug for TestEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestEnv").field("now", &format_args!("{}", self.now())).finish_non_exhaustive()
    }
}

/// The upper half of the bits, as a number from 0 up to 1.
fn fraction(bits: u64) -> f64 {
    f64::from(u32::try_from(bits >> 32).unwrap_or_default()) / 2f64.powi(32)
}
