//! What earlier turns wrote and did not see healthy. A turn that finds it unchanged has nothing to write, and is not done:
//! it looks at it until it is healthy, fails, or the deadline is over.
//!
//! Nothing is asked for as long as the history says that the last turn was done.

use super::record::was_forgotten;
use super::{Event, Outcome, Planned, Settings};
use crate::apply::{StepOutcome, Trouble, whole};
use crate::cluster::Cluster;
use crate::inventory::Parent;
use crate::kinds::{GATEWAY, Health, SPIN, Verdict};
use crate::live::Observed;
use crate::object::{ObjectRef, Untrusted};
use crate::plan::{Action, Change, StepKind};
use crate::report::trouble;
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often what is owed is looked at.
const PAUSE: Duration = Duration::from_secs(1);

/// An object that an earlier turn wrote, that is as the repository wants it, and that is not healthy.
#[derive(Clone, Debug)]
pub struct Owed {
    /// The object.
    pub object: ObjectRef,
    /// The version in which it is read.
    pub version: String,
    /// When the turn began that left it so, in seconds since 1970; none when that turn was killed.
    pub since: Option<i64>,
    /// How it does.
    pub health: Health,
}

impl Owed {
    /// Whether it has failed, by itself or because it had as many seconds as an object may take.
    pub fn has_failed(&self, deadline: f64, now: i64) -> bool {
        #[allow(clippy::cast_precision_loss)]
        let late = self.since.is_some_and(|since| now.saturating_sub(since) as f64 > deadline);
        self.health.verdict == Verdict::Failed || !is_well(&self.health) && late
    }
}

/// What earlier turns still owe, as it was when live state was read.
pub fn owed(planned: &Planned) -> Vec<Owed> {
    let parents = planned.plan.parents.iter();
    let waiting: Vec<(Option<i64>, &Change)> = parents
        .flat_map(|parent| {
            let since = parent.state.history.last().filter(|_| !was_killed(planned, parent)).map(|entry| entry.at);
            let told = move |change: &Change| since.filter(|_| !was_begun(parent, &change.object));
            waiting(planned, parent).map(move |change| (told(change), change))
        })
        .collect();
    if waiting.is_empty() {
        return Vec::new();
    }
    let observed = Observed::new(&planned.desired, &planned.reading.live);
    let health = waiting.into_iter().map(|(since, change)| Owed {
        since,
        object: change.object.clone(),
        version: change.version.clone(),
        health: observed.health(&change.object),
    });
    health.filter(|owed| !is_well(&owed.health)).collect()
}

/// The partitions whose last turn left something unhealthy that is healthy by now: the history has to learn it.
pub(super) fn recovered(planned: &Planned) -> BTreeSet<String> {
    let is_recovered = |parent: &&Parent| {
        let waits = !parent.state.waits().is_empty();
        let observed = waits.then(|| Observed::new(&planned.desired, &planned.reading.live));
        let mut changes = planned.plan.changes.iter().filter(|change| change.partition == parent.partition);
        let Some(observed) = observed else { return false };
        changes.all(|change| !is_waited_for(parent, change) || change.action == Action::Unchanged)
            && waiting(planned, parent).all(|change| is_well(&observed.health(&change.object)))
    };
    let parents = planned.plan.parents.iter().filter(|parent| !planned.plan.broken.contains(&parent.partition));
    parents.filter(is_recovered).map(|parent| parent.partition.clone()).collect()
}

/// The unchanged objects of a partition that its last turn did not see healthy. When that turn was killed before it could
/// say which, these are all that change in place or are attached to something; when it was killed half done, those that it made.
fn waiting<'a>(planned: &'a Planned, parent: &'a Parent) -> impl Iterator<Item = &'a Change> {
    let killed = was_killed(planned, parent);
    let changes = planned.plan.changes.iter().filter(|change| change.partition == parent.partition);
    let unchanged = changes.filter(|change| change.action == Action::Unchanged);
    let left = move |object: &ObjectRef| is_judged(object) && (killed || was_begun(parent, object));
    unchanged.filter(move |change| is_waited_for(parent, change) || left(&change.object))
}

/// Whether the turn before was killed before it could record which objects are not healthy.
fn was_killed(planned: &Planned, parent: &Parent) -> bool {
    parent.state.begun || was_forgotten(planned, parent)
}

/// Whether an object changes in place or attaches to something, so that a change of it may leave it unhealthy.
pub(super) fn is_judged(object: &ObjectRef) -> bool {
    [SPIN, GATEWAY, "apps", "batch"].contains(&object.group.as_str())
}

/// Whether a turn made an object and was killed before it could record that. Where nothing is recorded at all, nothing can be told.
fn was_begun(parent: &Parent, object: &ObjectRef) -> bool {
    !parent.state.objects.is_empty() && parent.known_uid(object).is_none()
}

fn is_waited_for(parent: &Parent, change: &Change) -> bool {
    let waits = parent.state.waits();
    !waits.is_empty() && waits.contains(&change.object.to_string())
}

fn is_well(health: &Health) -> bool {
    matches!(health.verdict, Verdict::Current | Verdict::Unknown)
}

/// Looks at what is owed, and adds to the outcome what came of it: once, or (`settings.follow`) until all of it is healthy or
/// failed. What this run gave up is not waited for a second time.
#[allow(clippy::too_many_arguments)]
pub(super) async fn follow(
    cluster: &Cluster,
    planned: &mut Planned,
    mut owed: Vec<Owed>,
    given_up: &BTreeSet<ObjectRef>,
    settings: &Settings,
    start: Instant,
    mut interrupt: Pin<&mut (dyn Future<Output = ()> + Send)>,
    outcome: &mut Outcome,
    tell: &mut (dyn FnMut(Event) + Send),
) {
    let seconds = || start.elapsed().as_secs_f64();
    for one in &owed {
        let (object, reason) = (one.object.to_string(), said(&one.health));
        tell(Event::Waiting { object, reason, holds: Vec::new(), seconds: seconds() });
    }
    if start.elapsed() > PAUSE {
        // What was read before this run waited for it may be over by now.
        look_again(cluster, planned, &mut owed).await;
    }
    loop {
        let now = jiff::Timestamp::now().as_second();
        owed.retain(|one| {
            let late = seconds() > settings.deadline || given_up.contains(&one.object);
            let failed = if settings.follow {
                late || one.health.verdict == Verdict::Failed
            } else {
                one.has_failed(settings.deadline, now)
            };
            if is_well(&one.health) {
                outcome.results.insert(one.object.clone(), StepOutcome::Done);
                tell(Event::Done { object: one.object.to_string(), step: StepKind::Set, seconds: seconds() });
            } else if failed {
                fail(one, settings.deadline, outcome, seconds(), tell);
            }
            !failed && !is_well(&one.health)
        });
        let newer = settings.overtaken.load(Ordering::Relaxed);
        if owed.is_empty() || newer || !settings.follow {
            outcome.overtaken |= newer && !owed.is_empty();
            break;
        }
        tokio::select! {
            () = &mut interrupt => {
                outcome.interrupted = true;
                break;
            }
            () = tokio::time::sleep(PAUSE) => {}
        }
        look_again(cluster, planned, &mut owed).await;
    }
    outcome.complete &= owed.is_empty();
    outcome.results.extend(owed.into_iter().map(|one| (one.object, StepOutcome::Written)));
}

/// Reads what is owed once more.
async fn look_again(cluster: &Cluster, planned: &mut Planned, owed: &mut [Owed]) {
    for one in owed {
        // What cannot be read now may be readable in a moment; the deadline ends the wait.
        let _ = cluster.refresh(&mut planned.reading.live, &one.object, &one.version).await;
        let now = jiff::Timestamp::now().as_second();
        one.health = Observed::new(&planned.desired, &planned.reading.live).at(now).health(&one.object);
    }
}

/// One that failed, or is not healthy when its time is over.
fn fail(one: &Owed, deadline: f64, outcome: &mut Outcome, seconds: f64, tell: &mut (dyn FnMut(Event) + Send)) {
    let health = one.health.clone();
    let (result, why) = if health.verdict == Verdict::Failed {
        let why = Trouble::Unhealthy(health);
        (StepOutcome::Failed(why.clone()), why)
    } else {
        let why = Trouble::NotHealthy { object: None, seconds: whole(deadline), health };
        (StepOutcome::Late(why.clone()), why)
    };
    let reason = trouble(&why);
    outcome.complete = false;
    outcome.results.insert(one.object.clone(), result);
    outcome.unhealthy.insert(one.object.clone(), reason.clone());
    tell(Event::Failed { object: one.object.to_string(), step: StepKind::Set, reason, seconds });
}

/// A verdict's reason and message in one text.
fn said(health: &Health) -> Untrusted {
    Untrusted::new(format!("{} {}", health.reason.raw(), health.message.raw()).trim())
}
