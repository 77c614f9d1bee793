//! Rebuilds that were interrupted by the end of the service go on when it is started again.

use std::sync::{Arc, Weak};

use super::{
    applier::{Halt, Tries},
    blocking::program,
    control::{Entry, Inner, ProjectionControl},
    model::{Kept, ModelError, Unfinished},
    replay::Origin,
    status::{ProjectionState, Published},
};

impl ProjectionControl {
    /// [`ProjectionControl::take_up`], at once or as soon as the read model's store answers.
    pub(super) async fn start(self) -> Result<(), ModelError> {
        let taken_up = if is_away(&self.entry.published.borrow()) { None } else { Some(self.take_up().await) };
        match taken_up {
            Some(Err(error)) if !error.is_outage() => Err(error),
            Some(Ok(())) => Ok(()),
            None | Some(Err(_)) => {
                let later = take_up_later(Arc::downgrade(&self.inner), Arc::clone(&self.entry));
                self.inner.lock_tasks().spawn(later);
                Ok(())
            }
        }
    }

    /// Goes on with a rebuild that was interrupted by the end of the service.
    async fn take_up(&self) -> Result<(), ModelError> {
        let mut rebuilds = Vec::new();
        for (begun, why) in self.entry.instance.kept().await? {
            if let Kept::Rebuild(unfinished) = why {
                let same = unfinished.program == program(&self.entry.applier.env).await?;
                rebuilds.push((same, begun, unfinished));
            }
        }
        // There is one, unless the service ended just when another program was beginning again.
        rebuilds.sort_by_key(|(same, ..)| !same);
        let mut rebuilds = rebuilds.into_iter();
        if let Some((same, begun, Unfinished { options, paused, .. })) = rebuilds.next() {
            let what = if same { "goes on" } else { "begins again, since another program had begun it" };
            tracing::info!(projection = self.name(), paused, "an interrupted rebuild {what}");
            let origin = if same { Origin::Begun(begun) } else { Origin::Outdated(begun) };
            self.begin(origin, options, paused).detach();
        }
        for (_, begun, _) in rebuilds {
            begun.discard().await?;
        }
        Ok(())
    }
}

/// Goes on with a rebuild that was interrupted by the end of the service, as soon as the read model's store answers.
async fn take_up_later(inner: Weak<Inner>, entry: Arc<Entry>) {
    let (mut applier, mut published, mut tries) = (entry.applier.clone(), entry.published.clone(), Tries::default());
    loop {
        // The runner is who notices that the store is back.
        let back = async { published.wait_for(|published| !is_away(published)).await.is_ok() };
        let back = tokio::select! {
            biased;
            () = applier.stop.told() => false,
            back = back => back,
        };
        let Some(inner) = inner.upgrade().filter(|_| back) else { return };
        let taken_up = ProjectionControl { inner, entry: Arc::clone(&entry) }.take_up().await;
        let Err(error) = taken_up else { return };
        let failure = error.into();
        let attempts = tries.count(&failure);
        match applier.back_off(failure, attempts).await {
            Ok(()) => {}
            Err(Halt::Stopped) => return,
            Err(Halt::Failed(failure)) => {
                tracing::error!(
                    projection = entry.name,
                    error = failure.error,
                    "an interrupted rebuild does not go on"
                );
                return;
            }
        }
    }
}

fn is_away(published: &Published) -> bool {
    matches!(published.state, ProjectionState::Waiting { .. })
}
