//! Backups of a service's store, made from within while it works: no other process can open the store, and no other pod can
//! mount its volume.

use std::{
    num::{NonZeroU64, NonZeroUsize},
    path::{Path, PathBuf},
    sync::atomic::AtomicU64,
    time::Duration,
};

use annalist::{Env, SystemEnv};
use annalist_service::{
    Service, Stop,
    prometheus_client::metrics::{counter::Counter, gauge::Gauge},
};
use annalist_store::{Backup, BackupOptions, Backups, Store};
use tokio::{select, task::spawn_blocking, time::sleep};

/// The longest pause after a backup that failed.
const AGAIN_AFTER: Duration = Duration::from_mins(1);

/// Where backups of the store go, and when.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct BackupArguments {
    /// Where to keep backups of the store, in a folder of the service's name; another disk than that of the store [default: none
    /// are made]
    #[arg(long, env = "BACKUPS")]
    pub backups: Option<PathBuf>,
    /// How often one is made, in seconds
    #[arg(long, env = "BACKUPS_EVERY_S", default_value = "3600")]
    pub backups_every_s: NonZeroU64,
    /// How many are kept; older ones are removed
    #[arg(long, env = "BACKUPS_KEPT", default_value = "48")]
    pub backups_kept: NonZeroUsize,
}

impl Default for BackupArguments {
    fn default() -> Self {
        // The same as above.
        let (every, kept) = (NonZeroU64::MIN.saturating_add(3599), NonZeroUsize::MIN.saturating_add(47));
        Self { backups: None, backups_every_s: every, backups_kept: kept }
    }
}

/// What is told of backups.
#[derive(Clone, Default)]
struct Told {
    /// When the last whole one was begun, in seconds since 1970.
    time: Gauge<f64, AtomicU64>,
    failed: Counter,
}

/// The service, which makes backups of its store if it is told where to.
pub fn backed_up(service: Service, name: &str, store: Store, arguments: &BackupArguments) -> Service {
    let Some(dir) = &arguments.backups else { return service };
    let (dir, told) = (dir.join(name), Told::default());
    let (every, kept) = (Duration::from_secs(arguments.backups_every_s.get()), arguments.backups_kept);
    let registered = told.clone();
    let service = service.metrics(|registry| {
        let help = "When the last whole backup of the store was begun; 0 when there is none";
        registry.register("shop_backup_timestamp_seconds", help, registered.time);
        registry.register("shop_backup_failed", "Backups that were not made", registered.failed);
    });
    service.consumer("backups", move |_, stop| keep(store, dir, every, kept, told, stop))
}

/// Makes a backup whenever the last one is as old as that, until the service ends. One that is being made then goes on until the
/// process is gone: what is left of it is no backup, and the next one tidies up.
async fn keep(store: Store, dir: PathBuf, every: Duration, kept: NonZeroUsize, told: Told, stop: Stop) {
    let mut pause = match last(&dir).await {
        Some(last) => {
            told.time.set(seconds(&last));
            every.saturating_sub(age(&last))
        }
        None => Duration::ZERO,
    };
    loop {
        select! {
            biased;
            () = stop.stopped() => return,
            () = sleep(pause) => {}
        }
        let mut options = BackupOptions::default();
        options.keep = Some(kept);
        select! {
            biased;
            () = stop.stopped() => return,
            made = store.backup(&dir, options, |_| {}) => match made {
                Ok(backup) => {
                    told.time.set(seconds(&backup));
                    let Backup { number, head, added_bytes, .. } = &backup;
                    tracing::info!(number, position = head.position.get(), added_bytes, "a backup was made");
                    pause = every;
                }
                Err(error) => {
                    told.failed.inc();
                    tracing::error!(error = &error as &dyn std::error::Error, dir = %dir.display(), "no backup was made");
                    pause = every.min(AGAIN_AFTER);
                }
            },
        }
    }
}

/// The last whole backup; `None` also when the folder cannot be read, which the next one says.
async fn last(dir: &Path) -> Option<Backup> {
    let backups = Backups::of(dir);
    let listed = spawn_blocking(move || backups.list()).await.ok()?;
    listed.unwrap_or_default().into_iter().rev().find_map(Result::ok)
}

fn age(backup: &Backup) -> Duration {
    let micros = SystemEnv.now().as_micros().saturating_sub(backup.time.as_micros());
    Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}

#[expect(clippy::cast_precision_loss, reason = "to the second it is exact for a hundred million years")]
fn seconds(backup: &Backup) -> f64 {
    (backup.time.as_micros() / 1_000_000) as f64
}
