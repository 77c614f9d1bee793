//! Imports, each of which is many requests, told as few lines.

use std::{net::IpAddr, time::SystemTime};

use serde::Serialize;

use crate::limits::{AUDIT_IMPORT_INTERVAL, AUDIT_IMPORT_PAUSE, AUDIT_IMPORTS_MAX};

/// What pieces of an import came to. As an extension of an answer: of one piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct ImportCounts {
    pub(crate) pieces: u64,
    /// Events that were recorded.
    pub(crate) recorded: u64,
    /// Events that were there.
    pub(crate) present: u64,
}

impl ImportCounts {
    fn add(&mut self, other: Self) {
        self.pieces += other.pieces;
        self.recorded += other.recorded;
        self.present += other.present;
    }
}

/// What one principal imports from one machine.
pub(super) struct Import {
    pub(super) who: String,
    ip: IpAddr,
    pub(super) what: String,
    /// The machine, and the port of the last piece.
    pub(super) from: String,
    /// What is not told.
    pieces: ImportCounts,
    told: SystemTime,
    last: SystemTime,
}

impl Import {
    /// What is to be told, if there is something.
    pub(super) fn take(&mut self, now: SystemTime) -> Option<ImportCounts> {
        let pieces = std::mem::take(&mut self.pieces);
        (pieces != ImportCounts::default()).then(|| {
            self.told = now;
            pieces
        })
    }

    fn is_over(&self, now: SystemTime) -> bool {
        now.duration_since(self.last).is_ok_and(|since| since >= AUDIT_IMPORT_PAUSE)
    }

    fn is_due(&self, now: SystemTime) -> bool {
        now.duration_since(self.told).is_ok_and(|since| since >= AUDIT_IMPORT_INTERVAL)
    }
}

/// Imports that have begun, and are not known to be over.
#[derive(Default)]
pub(super) struct Imports(Vec<Import>);

impl Imports {
    /// Adds a piece; returns what is to be told with it.
    pub(super) fn add(
        &mut self,
        (who, ip): (&str, IpAddr),
        what: &str,
        from: &str,
        piece: ImportCounts,
        now: SystemTime,
    ) -> Option<ImportCounts> {
        if let Some(import) = self.0.iter_mut().find(|import| import.who == who && import.ip == ip) {
            from.clone_into(&mut import.from);
            import.pieces.add(piece);
            import.last = now;
            return if import.is_due(now) { import.take(now) } else { None };
        }
        if self.0.len() < AUDIT_IMPORTS_MAX {
            let [who, what, from] = [who, what, from].map(str::to_owned);
            self.0.push(Import { who, ip, what, from, pieces: ImportCounts::default(), told: now, last: now });
        }
        Some(piece)
    }

    /// Those of one principal.
    pub(super) fn of(&mut self, who: Option<&str>) -> impl Iterator<Item = &mut Import> {
        self.0.iter_mut().filter(move |import| who == Some(&import.who))
    }

    /// Those that are over, which are forgotten.
    pub(super) fn over(&mut self, now: SystemTime) -> Vec<Import> {
        self.0.extract_if(.., |import| import.is_over(now)).collect()
    }

    /// All of them, which are forgotten.
    pub(super) fn all(&mut self) -> Vec<Import> {
        std::mem::take(&mut self.0)
    }
}
