//! Turns one after the other: when the repository has something new, when someone changed what is ours, and now and then in
//! any case.

use super::{Agent, Interrupt, Snapshots, Tellers, Turn};
use crate::cluster::Watches;
use crate::ops::{Event, Planned};
use std::time::{Duration, Instant};

/// After so long a turn is done in any case.
const RESYNC: Duration = Duration::from_secs(600);
/// What changes together is looked at together.
const SETTLE: Duration = Duration::from_millis(500);

impl Agent {
    /// Does turns until `interrupt` resolves; asks the Git server every `interval`. `each` hears of each turn.
    pub async fn run(
        &self,
        interval: Duration,
        tellers: &mut Tellers,
        snapshots: &mut Snapshots,
        interrupt: &Interrupt,
        tell: &mut (dyn FnMut(Event) + Send),
        each: &mut (dyn FnMut(&Turn) + Send),
    ) {
        let mut watches: Option<Watches> = None;
        loop {
            let start = Instant::now();
            let mut turn = self.turn(interrupt, tell).await;
            self.tell(&mut turn, tellers, start.elapsed().as_secs_f64(), interrupt.clone()).await;
            each(&turn);
            tokio::select! {
                biased;
                () = interrupt.clone() => return,
                () = snapshots.keep(&turn) => {}
            }
            let quiet = is_quiet(&turn);
            if let Some(planned) = &turn.planned
                && watches.as_ref().is_none_or(|known| *known.paths() != paths(planned))
            {
                watches = watch(planned);
                // What changed before they began is found by another turn.
                tokio::select! {
                    () = tokio::time::sleep(SETTLE) => {}
                    () = interrupt.clone() => return,
                }
                continue;
            }
            let revision = turn.pulled.revision.clone();
            drop(turn);
            tokio::select! {
                () = self.wait(interval, watches.as_ref(), quiet, &revision) => {}
                () = interrupt.clone() => return,
            }
        }
    }

    /// Waits until there may be something to do.
    async fn wait(&self, interval: Duration, watches: Option<&Watches>, quiet: bool, revision: &str) {
        let start = Instant::now();
        loop {
            let changed = async {
                match watches {
                    Some(watches) => watches.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = changed => return tokio::time::sleep(SETTLE).await,
                () = tokio::time::sleep(interval) => {}
            }
            // What failed or still becomes healthy is looked at again; else only what is new.
            let new = !quiet || start.elapsed() > RESYNC;
            if new || self.pull_since(revision).await.is_none_or(|pulled| pulled.revision != revision) {
                return;
            }
        }
    }
}

/// Whether nothing is left to be done of a turn.
fn is_quiet(turn: &Turn) -> bool {
    let done = turn.outcome.as_ref().is_none_or(|outcome| outcome.complete && outcome.inventory.is_none());
    let calm =
        |planned: &Planned| !planned.plan.changes.iter().any(|change| change.action == crate::plan::Action::Blocked);
    turn.trouble.is_none() && done && turn.planned.as_ref().is_some_and(calm)
}

fn watch(planned: &Planned) -> Option<Watches> {
    let cluster = planned.cluster.as_ref()?;
    Some(cluster.watch(&planned.desired, &planned.reading.live, &planned.plan.parents))
}

/// What would be watched.
fn paths(planned: &Planned) -> std::collections::BTreeSet<String> {
    crate::cluster::watched(&planned.desired, &planned.reading.live, &planned.plan.parents)
}
