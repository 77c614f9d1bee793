//! Which fault, and when.

use std::fmt;

/// A small generator of pseudo-random numbers (`SplitMix64`; Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub const fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.any() % end
    }

    /// One of them.
    ///
    /// # Panics
    /// If there is none.
    pub fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        let at = self.below(choices.len() as u64);
        *usize::try_from(at).ok().and_then(|at| choices.get(at)).expect("there is a choice")
    }
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// Nothing.
    None,
    /// The process is killed; what it handed to the kernel stays.
    Kill,
    /// The power goes: what was not synced is lost, in any part.
    Cut,
    /// The call fails with EIO.
    Eio,
    /// The call fails with ENOSPC.
    Enospc,
    /// A write is done in part, and the next one fails with ENOSPC.
    Short,
    /// A read gives a wrong bit.
    Flip,
}

impl Fault {
    /// All but none.
    pub const ALL: [Self; 6] = [Self::Kill, Self::Cut, Self::Eio, Self::Enospc, Self::Short, Self::Flip];

    /// Its name in a plan.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Kill => "kill",
            Self::Cut => "cut",
            Self::Eio => "eio",
            Self::Enospc => "enospc",
            Self::Short => "short",
            Self::Flip => "flip",
        }
    }
}

/// One fault in the life of a process. `shim.c` says what the words mean.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What happens.
    pub fault: Fault,
    /// To which of the calls that are counted, from 1.
    pub at: u64,
    /// The calls that are counted, separated by commas; empty: all that change something.
    pub on: &'static str,
    /// A part of their paths, or two with a star between them; empty: any.
    pub matching: &'static str,
    /// Whether it goes on failing.
    pub lasting: bool,
    /// How many changes later the power goes; 0: it does not.
    pub cut_after: u64,
    /// Decides what the rest does not.
    pub seed: u64,
}

impl Plan {
    /// Nothing happens.
    #[must_use]
    pub const fn none(seed: u64) -> Self {
        Self { fault: Fault::None, at: 0, on: "", matching: "", lasting: false, cut_after: 0, seed }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fault={} at={} seed={}", self.fault.name(), self.at, self.seed)?;
        write!(f, " lasting={} cut_after={}", u8::from(self.lasting), self.cut_after)?;
        if !self.on.is_empty() {
            write!(f, " on={}", self.on)?;
        }
        if !self.matching.is_empty() {
            write!(f, " match={}", self.matching)?;
        }
        Ok(())
    }
}
