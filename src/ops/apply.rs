//! Doing a plan against an API server: sends what the machine of `crate::apply` says, and keeps the inventory.

use super::owed::{follow, owed, recovered};
use super::plan::monitors;
use super::record::{Deleted, Done, Written, save, write_ahead};
use super::{Planned, gates, is_idle, probes};
use crate::api::{Fault, Refused};
use crate::apply::{Answer, Class, Monitor, Run, Standing, State, StepOutcome, classify, delay};
use crate::cluster::{Cluster, Look, Mode, NOT_THERE, Observer, Sought, is_other, with_identity};
use crate::fields::Managers;
use crate::inventory::{Applied, comes_back};
use crate::kinds::{self, Health, Verdict};
use crate::live::{Observed, Served};
use crate::object::{ObjectRef, Untrusted, meta};
use crate::plan::{self, Change, Plan, Step, StepKind};
use crate::report::trouble;
use futures::stream::{self, FuturesUnordered, StreamExt as _};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How an apply is done.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Seconds that an object may take to become healthy.
    pub deadline: f64,
    /// Whether a step waits until what it needs is healthy.
    pub wait: bool,
    /// Whether it waits as well for what earlier turns wrote and did not see healthy; else that is looked at once.
    pub follow: bool,
    /// Requests under way at once.
    pub concurrency: usize,
    /// The time, in seconds since 1970.
    pub now: i64,
    /// Revisions that were overtaken since the last apply; they are recorded.
    pub superseded: Vec<String>,
    /// Set by another task when there is something newer to do: then nothing is waited for any more.
    pub overtaken: Arc<AtomicBool>,
}

/// What happens during an apply.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "event")]
pub enum Event {
    /// A step's request is sent.
    Started {
        /// The object.
        object: String,
        /// What is done.
        step: StepKind,
        /// Seconds since the apply began.
        seconds: f64,
    },
    /// A step is done.
    Done {
        /// The object.
        object: String,
        /// What was done.
        step: StepKind,
        /// Seconds since the apply began.
        seconds: f64,
    },
    /// A step waits for an object to become healthy.
    Waiting {
        /// The object.
        object: String,
        /// What it says.
        reason: Untrusted,
        /// The objects whose steps wait for it.
        holds: Vec<String>,
        /// Seconds since the apply began.
        seconds: f64,
    },
    /// A step failed or was blocked.
    Failed {
        /// The object.
        object: String,
        /// What was to be done.
        step: StepKind,
        /// Why.
        reason: Untrusted,
        /// Seconds since the apply began.
        seconds: f64,
    },
}

/// How an apply ended.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What became of each changed object.
    pub results: BTreeMap<ObjectRef, StepOutcome>,
    /// Whether everything that was to be done is done.
    pub complete: bool,
    /// Objects that were written and did not become healthy, with the reason.
    pub unhealthy: BTreeMap<ObjectRef, Untrusted>,
    /// Whether it was interrupted.
    pub interrupted: bool,
    /// Whether it ended its waits because there was something newer to do.
    pub overtaken: bool,
    /// Why the inventory could not be written, if so.
    pub inventory: Option<Untrusted>,
}

/// How long requests in flight may still take after an interrupt.
const IN_FLIGHT: Duration = Duration::from_secs(5);

/// A step and the answer to its request.
type Answered = (usize, Result<Option<Value>, Refused>);
type Sending<'a> = Pin<Box<dyn Future<Output = Answered> + Send + 'a>>;

/// Does a plan. `interrupt` resolves when no further request shall be sent; `tell` hears what happens.
pub async fn apply(
    planned: &mut Planned,
    settings: Settings,
    mut interrupt: Pin<&mut (dyn Future<Output = ()> + Send)>,
    tell: &mut (dyn FnMut(Event) + Send),
) -> Outcome {
    let Some(cluster) = planned.cluster.take() else { return Outcome::default() };
    let mut outcome = Outcome::default();
    let start = Instant::now();
    let mut parents = planned.plan.parents.clone();
    if let Err(refused) = write_ahead(&cluster, planned, &mut parents, settings.now).await {
        outcome.inventory = Some(refused.message);
        planned.cluster = Some(cluster);
        return outcome;
    }
    let (idle, owed, mut healed) = (is_idle(planned), owed(planned), recovered(planned));
    // The plan is only read from here on; the driver changes what is known of live state.
    let plan = std::mem::take(&mut planned.plan);
    let mut driver = Driver {
        monitors: monitors(&planned.desired, &planned.reading.live),
        cluster: &cluster,
        observer: observer(&cluster, &plan),
        made: Observed::made(&planned.desired),
        planned,
        plan: &plan,
        settings: settings.clone(),
        start,
        written: BTreeMap::new(),
        deleted: Vec::new(),
        seen: BTreeMap::new(),
        told: BTreeMap::new(),
        barred: BTreeMap::new(),
        gates_due: 0.0,
        gates_pace: GATES_PACE,
        asks_due: BTreeMap::new(),
    };
    let mut run = Run::new(&plan, settings.deadline, settings.wait);
    let mut sending: FuturesUnordered<Sending<'_>> = FuturesUnordered::new();
    let mut queue: VecDeque<usize> = VecDeque::new();
    let mut waited = Duration::ZERO;
    let mut leave_at = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        queue.extend(run.start_ready(driver.seconds()));
        while sending.len() < settings.concurrency {
            let Some(step) = queue.pop_front() else { break };
            tell(Event::Started {
                object: run.object(step).to_string(),
                step: plan.steps[step].kind,
                seconds: driver.seconds(),
            });
            sending.push(driver.send(step, &plan.steps[step], &plan.changes[plan.steps[step].change]));
        }
        driver.report(&mut run, tell);
        if run.is_finished() && sending.is_empty() {
            break;
        }
        let (since, waits) = (Instant::now(), sending.is_empty());
        let newer = settings.overtaken.load(Ordering::Relaxed) && !run.is_interrupted();
        if newer && waits && driver.may_stop_waiting(&run) {
            // All is written; what becomes healthy is looked at by the run that does what is newer.
            outcome.overtaken = true;
            run.interrupt();
            break;
        }
        tokio::select! {
            Some((step, answer)) = sending.next(), if !sending.is_empty() => driver.answered(&mut run, step, answer),
            _ = tick.tick() => {
                let answers = beside(&mut sending, async {
                    driver.observe(&mut run).await;
                    driver.look_at_gates(&mut run).await;
                    driver.ask(&mut run).await;
                })
                .await;
                answers.into_iter().for_each(|(step, answer)| driver.answered(&mut run, step, answer));
            }
            () = tokio::time::sleep_until(leave_at.into()), if run.is_interrupted() => break,
            () = &mut interrupt, if !run.is_interrupted() => {
                leave_at = Instant::now() + IN_FLIGHT;
                run.interrupt();
                // What was queued and not sent is not sent any more.
                for step in queue.drain(..) {
                    run.unsent(step);
                }
            }
        }
        if waits {
            waited += since.elapsed();
        }
    }
    driver.report(&mut run, tell);
    outcome.interrupted = run.is_interrupted() && !outcome.overtaken;
    outcome.complete = run.states().iter().all(|s| *s == State::Done);
    outcome.results = results(&run, &plan);
    drop(sending);
    let apply = driver.seconds() - waited.as_secs_f64();
    let given_up = driver.given_up(&run);
    let Driver { written, deleted, .. } = driver;
    planned.plan = plan;
    if settings.wait && !owed.is_empty() && !outcome.interrupted {
        let since = Instant::now();
        follow(&cluster, planned, owed, &given_up, &settings, start, interrupt.as_mut(), &mut outcome, tell).await;
        waited += since.elapsed();
        // A run that began with nothing to write has not taken the Lease; another one records it.
        if !idle {
            healed = recovered(planned);
        }
    }
    for (phase, seconds) in [("apply", apply), ("wait", waited.as_secs_f64())] {
        *planned.seconds.entry(phase).or_default() += seconds;
    }
    let milliseconds = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    outcome.unhealthy.extend(unhealthy(&outcome, &written));
    let done = Done {
        written: &written,
        deleted: &deleted,
        recovered: &healed,
        outcome: &outcome,
        settings: &settings,
        milliseconds,
    };
    let saved = save(&cluster, planned, parents, &done).await;
    outcome.inventory = saved.err().map(|refused| refused.message);
    planned.cluster = Some(cluster);
    outcome
}

/// Does something while requests are under way, and gives the answers that came meanwhile. A request that nobody polls keeps its
/// place among those that may be under way at once; when the server is busy that may be the only one.
async fn beside(sending: &mut FuturesUnordered<Sending<'_>>, work: impl Future<Output = ()>) -> Vec<Answered> {
    let mut answers = Vec::new();
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            () = &mut work => return answers,
            Some(answer) = sending.next(), if !sending.is_empty() => answers.push(answer),
        }
    }
}

/// What looks at the objects of a plan's steps.
fn observer(cluster: &Cluster, plan: &Plan) -> Observer {
    let objects = plan.steps.iter().map(|step| &plan.changes[step.change].object);
    Observer::new(cluster, objects, !plan.parents.is_empty())
}

/// What was written and failed all the same.
fn unhealthy(outcome: &Outcome, written: &BTreeMap<ObjectRef, Written>) -> BTreeMap<ObjectRef, Untrusted> {
    let failed = outcome.results.iter().filter(|(object, _)| !outcome.interrupted && written.contains_key(*object));
    let failed = failed.filter_map(|(object, result)| match result {
        StepOutcome::Failed(why) | StepOutcome::Late(why) => Some((object.clone(), trouble(why))),
        _ => None,
    });
    failed.collect()
}

fn results(run: &Run<'_>, plan: &Plan) -> BTreeMap<ObjectRef, StepOutcome> {
    let mut results: BTreeMap<ObjectRef, StepOutcome> = BTreeMap::new();
    for (step, state) in run.states().iter().enumerate() {
        let object = plan.changes[plan.steps[step].change].object.clone();
        let worse = results.get(&object).is_none_or(|known| *known == StepOutcome::Done);
        if worse {
            results.insert(object, StepOutcome::of(state));
        }
    }
    results
}

/// How often gates are looked at in the beginning, and at the least, in seconds.
const GATES_PACE: f64 = 0.4;
const GATES_PACE_MAX: f64 = 3.0;
/// Seconds between two questions to a Gateway that cannot be asked.
const UNKNOWN_PACE: f64 = 2.0;
/// Steps that are asked for at once.
const ASKED_AT_ONCE: usize = 16;

struct Driver<'c, 'p> {
    cluster: &'c Cluster,
    /// What holds the requests for each tenant against its rules.
    monitors: BTreeMap<String, Arc<Monitor>>,
    observer: Observer,
    planned: &'p mut Planned,
    plan: &'p Plan,
    settings: Settings,
    start: Instant,
    written: BTreeMap<ObjectRef, Written>,
    deleted: Vec<Deleted>,
    /// What controllers make for desired objects.
    made: BTreeSet<ObjectRef>,
    /// How the object of each step was when it was last looked at.
    seen: BTreeMap<usize, Health>,
    /// What was last told of each step.
    told: BTreeMap<usize, String>,
    /// Why the gates of each step did not let it through when they were last looked at.
    barred: BTreeMap<usize, (ObjectRef, Health)>,
    /// When gates are to be looked at again, in seconds since the apply began.
    gates_due: f64,
    /// Seconds between two looks; they grow while nothing changes.
    gates_pace: f64,
    /// When Gateways that could not be asked for a step are asked again, in seconds since the apply began.
    asks_due: BTreeMap<usize, f64>,
}

impl<'c> Driver<'c, '_> {
    fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// Whether what is waited for can be left to a run that does something newer: that one judges by what is true then. What
    /// only rests goes on in a moment, and an app that comes back by itself when it does not become healthy is judged here.
    fn may_stop_waiting(&self, run: &Run<'_>) -> bool {
        !run.rests()
            && run.states().iter().enumerate().all(|(step, state)| match state {
                State::Sent => false,
                State::Settling(_) => comes_back(&self.planned.desired, run.object(step)).is_none(),
                State::Waiting
                | State::Done
                | State::Failed(_)
                | State::Blocked(_)
                | State::Late(_)
                | State::NotBegun => true,
            })
    }

    /// What gates waited for until the deadline was over.
    fn given_up(&self, run: &Run<'_>) -> BTreeSet<ObjectRef> {
        let late = self.barred.iter().filter(|(step, _)| matches!(run.states()[**step], State::Late(_)));
        late.map(|(_, (object, _))| object.clone()).collect()
    }

    /// Looks at the gates of the steps for which nothing else is missing, when they are due.
    async fn look_at_gates(&mut self, run: &mut Run<'_>) {
        let gated: Vec<usize> = run.gated().collect();
        let is_new = gated.iter().any(|step| !self.barred.contains_key(step));
        if gated.is_empty() || self.seconds() < self.gates_due && !is_new {
            return;
        }
        let gates = |step: &usize| {
            let asked = self.plan.steps[*step].gates.iter().filter(|gate| run.asks(gate));
            (*step, asked.cloned().collect())
        };
        let asked: Vec<_> = gated.iter().map(gates).collect();
        let concurrency = self.settings.concurrency;
        let found = gates::look(self.cluster, self.planned, self.plan, &self.made, &asked, concurrency).await;
        let (now, mut same) = (self.seconds(), !is_new);
        for (step, standing) in found {
            match &standing {
                Standing::NotYet(object, health) => {
                    let seen = (object.clone(), health.clone());
                    same &= self.barred.get(&step) == Some(&seen);
                    self.barred.insert(step, seen);
                }
                _ => {
                    same = false;
                    self.barred.remove(&step);
                }
            }
            run.judged(step, standing, now);
        }
        self.gates_pace = if same { (self.gates_pace * 1.5).min(GATES_PACE_MAX) } else { GATES_PACE };
        self.gates_due = self.seconds() + self.gates_pace;
    }

    /// Asks the Gateway whether it follows what took over from the steps that rest, all of them at once.
    async fn ask(&mut self, run: &mut Run<'_>) {
        let now = self.seconds();
        let due = |step: &usize| self.asks_due.get(step).is_none_or(|due| *due <= now);
        let steps: Vec<usize> = run.asking().filter(due).collect();
        let (planned, plan) = (&*self.planned, self.plan);
        let asked =
            steps.into_iter().map(|step| async move { (step, probes::ask(planned, &plan.steps[step].probes).await) });
        let answers: Vec<_> = stream::iter(asked).buffer_unordered(ASKED_AT_ONCE).collect().await;
        for (step, answer) in answers {
            match (&answer, plan.steps[step].probes.first()) {
                (Answer::Other(how), Some(probe)) => {
                    let health = Health::progressing("NotFollowed", how.raw());
                    self.barred.insert(step, (probe.route.clone(), health));
                }
                (Answer::Unknown, _) => {
                    self.asks_due.insert(step, self.seconds() + UNKNOWN_PACE);
                }
                _ => {
                    self.barred.remove(&step);
                }
            }
            run.asked(step, answer, self.seconds());
        }
    }

    fn send(&self, index: usize, step: &Step, change: &Change) -> Sending<'c> {
        let identity = self.planned.desired.rules().identity_of(&change.partition);
        let monitor = self.monitors.get(&change.partition).cloned();
        let cluster = self.cluster.acting_as(identity.as_deref()).watched_by(monitor);
        let mut change = change.clone();
        // A later step of an object that an earlier one wrote continues from there; what was taken is ours by now.
        if let Some(written) = self.written.get(&change.object) {
            change.uid.clone_from(&written.uid);
            change.taken.clear();
        }
        let judged = self.planned.reading.live.get(&change.object).cloned();
        let (kind, body) = (step.kind, step.body.clone());
        let served = self.planned.reading.live.kinds.get(&change.object.group_kind()).cloned();
        let deadline = self.settings.deadline;
        Box::pin(async move { (index, with_retries(&cluster, served, change, kind, body, judged, deadline).await) })
    }

    fn answered(&mut self, run: &mut Run<'_>, step: usize, answer: Result<Option<Value>, Refused>) {
        let object = run.object(step).clone();
        let change = &self.plan.changes[self.plan.steps[step].change];
        match answer {
            Ok(value) => {
                let now = self.seconds();
                run.accepted(step, now);
                if matches!(self.plan.steps[step].kind, StepKind::Delete | StepKind::Replace) {
                    let (partition, uid) = (change.partition.clone(), change.uid.clone());
                    self.deleted.push(Deleted { object: object.clone(), partition, uid });
                }
                match value {
                    Some(value) => {
                        let digest = Applied::read(&value).map(|applied| applied.digest).unwrap_or_default();
                        let written = Written { uid: meta(&value, "uid").to_owned(), digest };
                        self.planned.reading.live.insert(value);
                        self.written.insert(object.clone(), written);
                        if matches!(run.states()[step], State::Settling(_)) {
                            let health = self.health(&object, step);
                            // A failure that is seen in the answer to the write is that of the state before it.
                            if health.verdict != Verdict::Failed {
                                run.observed(step, Some(&health), now);
                            }
                        }
                    }
                    None => self.planned.reading.live.remove(&object),
                }
            }
            Err(refused) => run.refused(step, &refused),
        }
    }

    /// Reads the objects that are becoming healthy or going, and tells the machine.
    async fn observe(&mut self, run: &mut Run<'_>) {
        let settling: Vec<usize> = run.settling().collect();
        let unknown = |step: &usize| !self.planned.reading.live.kinds.contains_key(&run.object(*step).group_kind());
        // A kind that the plan itself defined was not served when live state was read.
        if settling.iter().any(unknown) {
            let kinds = self.cluster.discover().await.unwrap_or_default();
            self.planned.reading.live.kinds.extend(kinds);
        }
        let version = |step: usize| self.plan.changes[self.plan.steps[step].change].version.as_str();
        let sought: Vec<Sought<'_>> =
            settling.into_iter().map(|step| (step, run.object(step), version(step))).collect();
        let looks = self.observer.look_all(&self.planned.reading.live, &sought).await;
        for (step, look) in looks {
            self.looked(run, step, look);
        }
    }

    /// Takes in what was seen of a step's object.
    fn looked(&mut self, run: &mut Run<'_>, step: usize, look: Result<Look, Refused>) {
        let now = self.start.elapsed().as_secs_f64();
        let look = match look {
            Ok(look) => look,
            Err(refused) => {
                // It may be readable again in a moment; the deadline ends the wait.
                let health =
                    Health::progressing("NotRead", format!("It cannot be read: {} {}", refused.code, refused.reason));
                run.observed(step, Some(&health), now);
                return;
            }
        };
        look.show(&mut self.planned.reading.live);
        let object = run.object(step).clone();
        let (kind, uid) = (self.plan.steps[step].kind, &self.plan.changes[self.plan.steps[step].change].uid);
        let live = &self.planned.reading.live;
        let gone = live.get(&object).is_none_or(|value| kind == StepKind::Delete && is_other(value, uid));
        let health = self.health(&object, step);
        run.observed(step, if gone { None } else { Some(&health) }, now);
        self.seen.insert(step, health);
    }

    /// The health of a step's object. A route that is attached to old and new parents is judged by the new ones: the old
    /// may be what it moves away from.
    fn health(&self, object: &ObjectRef, step: usize) -> Health {
        let now = jiff::Timestamp::now().as_second();
        let observed = Observed::with_made(&self.planned.desired, &self.planned.reading.live, &self.made).at(now);
        let step = &self.plan.steps[step];
        let body = self.plan.changes[step.change].body.as_ref();
        let parents = body.and_then(|b| b.pointer("/spec/parentRefs")).filter(|_| step.kind == StepKind::Expand);
        match (parents, self.planned.reading.live.get(object)) {
            (Some(parents), Some(value)) => {
                let mut value = value.clone();
                value["spec"]["parentRefs"] = parents.clone();
                observed.health_of(object, &value)
            }
            _ => observed.health(object),
        }
    }

    /// Tells what is new about each step.
    fn report(&mut self, run: &mut Run<'_>, tell: &mut (dyn FnMut(Event) + Send)) {
        let seconds = self.seconds();
        let mut changed = run.take_changed();
        changed.extend(run.settling());
        changed.extend(run.gated());
        changed.extend(run.asking());
        for index in changed {
            let state = &run.states()[index];
            let step = self.plan.steps[index].kind;
            let object = run.object(index);
            let event = match state {
                State::Waiting => match self.barred.get(&index) {
                    Some((on, health)) => Event::Waiting {
                        object: on.to_string(),
                        reason: reason_of(health),
                        holds: vec![object.to_string()],
                        seconds,
                    },
                    None => continue,
                },
                State::Sent => continue,
                State::Done => Event::Done { object: object.to_string(), step, seconds },
                State::NotBegun => {
                    let reason = Untrusted::new("the run was interrupted.");
                    Event::Failed { object: object.to_string(), step, reason, seconds }
                }
                State::Failed(reason) | State::Blocked(reason) | State::Late(reason) => {
                    Event::Failed { object: object.to_string(), step, reason: trouble(reason), seconds }
                }
                State::Settling(_) => {
                    let health = self.settling(index);
                    let holds = run.held_by(index).map(|s| run.object(s).to_string()).collect();
                    Event::Waiting { object: object.to_string(), reason: reason_of(&health), holds, seconds }
                }
            };
            let key = match &event {
                Event::Waiting { reason, .. } => format!("waiting {}", reason.raw()),
                Event::Done { .. } => "done".to_owned(),
                _ => "failed".to_owned(),
            };
            if self.told.get(&index) != Some(&key) {
                self.told.insert(index, key);
                tell(event);
            }
        }
    }

    /// What a step waits for, as far as it was seen.
    fn settling(&self, step: usize) -> Health {
        if self.plan.steps[step].kind == StepKind::Delete {
            return Health::new(Verdict::Terminating, "Terminating", "It is not gone yet.");
        }
        self.seen
            .get(&step)
            .cloned()
            .unwrap_or_else(|| Health::progressing("Written", "It was written and not looked at yet."))
    }
}

fn reason_of(health: &Health) -> Untrusted {
    Untrusted::new(format!("{} {}", health.reason.raw(), health.message.raw()).trim().to_owned())
}

/// How long the API server may take to learn what an account may do.
const RIGHTS: Duration = Duration::from_secs(3);

/// Sends the request of a step until it is accepted or refused for good.
async fn with_retries(
    cluster: &Cluster,
    served: Option<Served>,
    mut change: Change,
    kind: StepKind,
    body: Option<Value>,
    judged: Option<Value>,
    seconds: f64,
) -> Result<Option<Value>, Refused> {
    let begun = Instant::now();
    let deadline = begun + Duration::from_secs_f64(seconds);
    let mut served = served;
    for attempt in 1.. {
        // A kind that the plan defines is served only after its definition is established.
        if served.is_none() {
            served = cluster.discover().await.ok().and_then(|kinds| kinds.get(&change.object.group_kind()).cloned());
        }
        let answer = match &served {
            Some(served) => once(cluster, served, &change, kind, body.as_ref(), deadline).await,
            None => Err(Refused {
                code: 404,
                fault: Fault::NotServed,
                message: Untrusted::new("the server could not find the requested resource: its kind is not served"),
                ..Refused::default()
            }),
        };
        let refused = match answer {
            Ok(value) => return Ok(value),
            Err(refused) => refused,
        };
        if let (Fault::Stale, true, Some(served)) = (refused.fault, makes(&change, kind), &served)
            && let Some(there) = cluster.get(&change.object, &change.version, served).await?
        {
            match appeared(&there, body.as_ref()) {
                Appeared::Written => return Ok(Some(there)),
                Appeared::Ours if kind != StepKind::Replace => meta(&there, "uid").clone_into(&mut change.uid),
                _ => return Err(foreign()),
            }
            continue;
        }
        // A status was written since: the judgement holds as long as nothing else was.
        if let (true, Some(served), Some(judged)) = (change.is_forced() && refused.code == 409, &served, &judged) {
            let now = cluster.get(&change.object, &change.version, served).await?;
            match now.filter(|now| plan::is_same_but_status(judged, now)) {
                Some(now) if attempt < 8 => now_judged(&mut change, &now),
                _ => return Err(refused),
            }
            continue;
        }
        let pause = match (delay(&refused, attempt), classify(&refused)) {
            (Some(pause), _) if Instant::now() < deadline => pause,
            (None, Class::Again) if Instant::now() < deadline && refused.code == 403 => 2.0,
            // A tenant's account may have got its rights a moment ago: the authorizer learns of a binding by its own watch.
            (None, Class::Permanent) if cluster.acts_for() && refused.code == 403 && begun.elapsed() < RIGHTS => 0.3,
            _ => return Err(refused),
        };
        tokio::time::sleep(Duration::from_secs_f64(pause)).await;
    }
    Err(Refused::default())
}

/// Whether a step makes an object that must not be there yet.
fn makes(change: &Change, kind: StepKind) -> bool {
    let is_new = kind == StepKind::Replace || change.uid.is_empty();
    is_new && kind != StepKind::Delete && !kinds::comes_with_its_namespace(&change.object)
}

/// What stands where an object was to be made.
enum Appeared {
    /// What was to be made: an attempt whose answer was not heard made it.
    Written,
    /// What spinway makes for itself and the repository declares too: the namespace of the inventories.
    Ours,
    /// Somebody else's object, that of another turn of spinway included.
    Foreign,
}

fn appeared(there: &Value, body: Option<&Value>) -> Appeared {
    let record = |value: &Value| Applied::read(value).map(|applied| applied.digest);
    match (Managers::of(there).ours(), record(there)) {
        (Some(_), None) => Appeared::Ours,
        (Some(_), found) if found == body.and_then(record) => Appeared::Written,
        _ => Appeared::Foreign,
    }
}

fn foreign() -> Refused {
    let message = Untrusted::new("it was created by someone else after the plan was made; plan again");
    Refused { code: 409, fault: Fault::Final, reason: "Conflict".to_owned(), message, ..Refused::default() }
}

fn now_judged(change: &mut Change, now: &Value) {
    change.resource_version = meta(now, "resourceVersion").to_owned();
}

async fn once(
    cluster: &Cluster,
    served: &Served,
    change: &Change,
    kind: StepKind,
    body: Option<&Value>,
    deadline: Instant,
) -> Result<Option<Value>, Refused> {
    let (object, version) = (&change.object, change.version.as_str());
    match kind {
        StepKind::Delete => cluster.delete(object, version, served, &change.uid).await.map(|()| None),
        StepKind::Replace => {
            match cluster.delete(object, version, served, &change.uid).await {
                // An attempt whose answer was not heard has deleted it already: what stands there is looked at below.
                Err(refused) if refused.code == 409 => {
                    let there = cluster.get(object, version, served).await?;
                    if !there.is_some_and(|there| is_other(&there, &change.uid)) {
                        return Err(refused);
                    }
                }
                done => done?,
            }
            while cluster.get(object, version, served).await?.is_some_and(|v| !is_other(&v, &change.uid)) {
                if Instant::now() > deadline {
                    return Err(Refused {
                        message: Untrusted::new("the old object is not gone"),
                        ..Refused::default()
                    });
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            let body =
                with_identity(body.unwrap_or(&Value::Null), "", if makes(change, kind) { NOT_THERE } else { "" });
            cluster.apply(object, version, served, &body, Mode::default()).await.map(Some)
        }
        StepKind::Expand | StepKind::Set | StepKind::Contract => {
            let judged = match (makes(change, kind), change.is_forced()) {
                (true, _) => NOT_THERE,
                (false, true) => change.resource_version.as_str(),
                (false, false) => "",
            };
            let body = with_identity(body.unwrap_or(&Value::Null), &change.uid, judged);
            let mode = Mode { dry_run: false, force: change.is_forced() };
            cluster.apply(object, version, served, &body, mode).await.map(Some)
        }
    }
}
