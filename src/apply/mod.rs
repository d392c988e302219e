//! Doing a plan: which step may start, what an answer means, when a step is done (design law 1).
//!
//! **Invariant:** this is a machine without IO and without clock: it is told what happened and when (in seconds since the
//! run began), and says what to do next. `ops::apply` drives it.

mod gates;
mod monitor;
mod outcome;
mod retry;

pub use gates::{Gatekeeper, Standing};
pub use monitor::{Asked, Monitor};
pub use outcome::{StepOutcome, Trouble};
pub use retry::{Class, classify, delay};

use crate::api::Refused;
use crate::kinds::{Health, Verdict};
use crate::object::{ObjectRef, Untrusted};
use crate::plan::{Gate, Plan, StepKind};
use std::collections::{BTreeMap, BTreeSet};

/// How long an object without any status may hold others back, in seconds (law 3).
const NO_STATUS: f64 = 15.0;

/// Where a step is.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// It has not started.
    Waiting,
    /// Its request is out.
    Sent,
    /// It was written; its object is becoming healthy since that time.
    Settling(f64),
    /// It is done.
    Done,
    /// It failed, and why.
    Failed(Trouble),
    /// Something it needs failed.
    Blocked(Trouble),
    /// What it waits for was still on its way when its time was over: the next run goes on with it.
    Late(Trouble),
    /// It was not begun, since the run was interrupted.
    NotBegun,
}

/// How often in a row the new state must answer, each time on a new connection: a Gateway may have several proxies.
const ENOUGH: u32 = 10;

/// A rest that is over within so many seconds is not ended by a newer commit.
const A_MOMENT: f64 = 10.0;

/// What the Gateway answered to the probes of a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Answer {
    /// All of them were answered by the state that is wanted.
    New,
    /// One of them was answered by another state, and how.
    Other(Untrusted),
    /// The Gateway cannot be asked from here: then only time tells.
    #[default]
    Unknown,
}

/// The answers to the probes of a step so far.
#[derive(Clone, Debug, Default)]
struct Answers {
    new_in_a_row: u32,
    /// How another state answered: some proxy follows it until the new one answers often enough.
    other: Option<Untrusted>,
}

impl State {
    /// Whether it will not be done by this run.
    fn is_bad_end(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Blocked(_) | Self::Late(_) | Self::NotBegun)
    }
}

/// A run of a plan. Each event costs what it changes, and not what the plan holds.
#[derive(Debug)]
pub struct Run<'a> {
    plan: &'a Plan,
    states: Vec<State>,
    /// The steps that come before each step.
    before: Vec<Vec<usize>>,
    /// The steps that come after each step.
    after: Vec<Vec<usize>>,
    /// How many of the steps before each step are not done.
    missing: Vec<usize>,
    /// Steps that may start.
    ready: BTreeSet<usize>,
    /// Steps that may start from a time on.
    resting: Vec<(usize, f64)>,
    /// What the Gateway answered to the probes of steps that rest.
    answers: BTreeMap<usize, Answers>,
    /// Steps whose gates are looked at, and since when.
    gated: BTreeMap<usize, f64>,
    /// Since when gates that were seen shut are looked at.
    shut: BTreeMap<usize, f64>,
    /// Steps whose gates were shut when they were looked at last: they rest again after what they waited for came.
    opening: BTreeSet<usize>,
    /// Steps whose gates were looked at since nothing else was missing.
    looked: BTreeSet<usize>,
    /// Steps that are becoming healthy.
    settling: BTreeSet<usize>,
    /// Steps whose state changed and was not told.
    changed: BTreeSet<usize>,
    /// How many steps are done, failed or blocked.
    ended: usize,
    /// Seconds that an object may take to become healthy.
    deadline: f64,
    /// Whether a step is done only when its object is healthy.
    wait: bool,
    /// The time of the last event.
    now: f64,
    interrupted: bool,
}

impl<'a> Run<'a> {
    /// Begins a run; `deadline` is how many seconds an object may take to become healthy. Without `wait` what was written
    /// counts as healthy.
    pub fn new(plan: &'a Plan, deadline: f64, wait: bool) -> Self {
        let count = plan.steps.len();
        let (mut before, mut after) = (vec![Vec::new(); count], vec![Vec::new(); count]);
        for (first, then) in &plan.order {
            before[*then].push(*first);
            after[*first].push(*then);
        }
        let missing: Vec<usize> = before.iter().map(Vec::len).collect();
        let mut run = Self {
            plan,
            states: vec![State::Waiting; count],
            ready: BTreeSet::new(),
            resting: Vec::new(),
            answers: BTreeMap::new(),
            gated: BTreeMap::new(),
            shut: BTreeMap::new(),
            opening: BTreeSet::new(),
            looked: BTreeSet::new(),
            now: 0.0,
            before,
            after,
            missing,
            settling: BTreeSet::new(),
            changed: BTreeSet::new(),
            ended: 0,
            deadline,
            wait,
            interrupted: false,
        };
        (0..count)
            .filter(|step| run.missing[*step] == 0)
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|step| run.is_free(step));
        run
    }

    /// Nothing is missing for a step any more.
    fn is_free(&mut self, step: usize) {
        let settle = self.plan.steps[step].settle;
        if settle > 0.0 {
            self.rest(step);
        } else {
            self.has_rested(step);
        }
    }

    /// A step rests before it goes on.
    fn rest(&mut self, step: usize) {
        self.answers.remove(&step);
        self.resting.push((step, self.now + self.plan.steps[step].settle));
    }

    /// The steps that rest and have something to ask meanwhile.
    pub fn asking(&self) -> impl Iterator<Item = usize> + '_ {
        let steps = self.resting.iter().map(|(step, _)| *step);
        steps.filter(|step| self.states[*step] == State::Waiting && !self.plan.steps[*step].probes.is_empty())
    }

    /// All probes of a step were asked.
    pub fn asked(&mut self, step: usize, answer: Answer, now: f64) {
        self.now = now;
        let answers = self.answers.entry(step).or_default();
        answers.new_in_a_row = if answer == Answer::New { answers.new_in_a_row + 1 } else { 0 };
        match answer {
            Answer::New if answers.new_in_a_row >= ENOUGH => answers.other = None,
            Answer::New | Answer::Unknown => {}
            Answer::Other(how) => answers.other = Some(how),
        }
    }

    /// Whether a step has rested: when the new state answers, or else when its time is over, unless another state answers still.
    fn rest_is_over(&self, step: usize, until: f64, now: f64) -> bool {
        match self.answers.get(&step) {
            Some(Answers { new_in_a_row: ENOUGH.., .. }) => true,
            Some(Answers { other: Some(_), .. }) => now > until + self.deadline,
            _ => until <= now,
        }
    }

    /// A step whose time to rest is over: it goes on, unless its probes say that the Gateway does not follow.
    fn rested(&mut self, step: usize) {
        match self.answers.remove(&step) {
            Some(Answers { other: Some(how), .. }) => {
                self.set(step, State::Late(Trouble::NotSwitched(how)));
            }
            _ => self.has_rested(step),
        }
    }

    /// Only the gates of a step are left.
    fn has_rested(&mut self, step: usize) {
        if self.plan.steps[step].gates.iter().any(|gate| gate.always || self.wait) {
            let since = self.shut.get(&step).copied().unwrap_or(self.now);
            self.looked.remove(&step);
            self.gated.insert(step, since);
        } else {
            self.ready.insert(step);
        }
    }

    /// The steps for which nothing but their gates is missing.
    pub fn gated(&self) -> impl Iterator<Item = usize> + '_ {
        self.gated.keys().copied()
    }

    /// Whether a step rests before it is begun, or has rested and its gates were not looked at since: it may go on in a moment.
    pub fn rests(&self) -> bool {
        let soon = |(step, until): &(usize, f64)| {
            let held = self.answers.get(step).is_some_and(|answers| answers.other.is_some());
            !held && *until - self.now <= A_MOMENT
        };
        self.resting.iter().any(soon) || self.gated.keys().any(|step| !self.looked.contains(step))
    }

    /// Whether a gate is asked in this run.
    pub fn asks(&self, gate: &Gate) -> bool {
        gate.always || self.wait
    }

    /// The gates of a step were looked at.
    pub fn judged(&mut self, step: usize, standing: Standing, now: f64) {
        self.now = now;
        let Some(since) = self.gated.get(&step).copied() else { return };
        let waited = now - since;
        self.looked.insert(step);
        let state = match standing {
            Standing::NotYet(_, health) if is_open(&health, waited) => None,
            Standing::Open => None,
            Standing::NotYet(object, health) if waited > self.deadline => {
                Some(State::Late(Trouble::NotHealthy { object: Some(object), seconds: whole(self.deadline), health }))
            }
            Standing::NotYet(..) => {
                self.shut.insert(step, since);
                self.opening.insert(step);
                return;
            }
            Standing::Sick(need, health) => Some(State::Blocked(Trouble::NeedSick { need, health })),
            Standing::Used(user) => Some(State::Blocked(Trouble::Used(user))),
            Standing::Unreadable(kind, why) => Some(State::Blocked(Trouble::Unreadable { kind, why })),
            Standing::NotOurs => Some(State::Blocked(Trouble::NotOurs)),
        };
        self.gated.remove(&step);
        match state {
            Some(state) => self.set(step, state),
            // What it waited for came just now, and the Gateway has yet to learn of it.
            None if self.opening.remove(&step) && self.plan.steps[step].settle > 0.0 => {
                self.rest(step);
            }
            None => {
                self.ready.insert(step);
            }
        }
    }

    /// Puts a step into a state; its end lets others start, or blocks them.
    fn set(&mut self, step: usize, state: State) {
        self.settling.remove(&step);
        self.ready.remove(&step);
        self.gated.remove(&step);
        self.changed.insert(step);
        match &state {
            State::Done => {
                self.ended += 1;
                for then in self.after[step].clone() {
                    self.missing[then] -= 1;
                    if self.missing[then] == 0 && self.states[then] == State::Waiting {
                        self.is_free(then);
                    }
                }
            }
            State::Failed(_) | State::Blocked(_) | State::Late(_) | State::NotBegun => self.ended += 1,
            State::Settling(_) => {
                self.settling.insert(step);
            }
            State::Waiting | State::Sent => {}
        }
        let ended_badly = state.is_bad_end();
        self.states[step] = state;
        if ended_badly {
            self.block_after(step);
        }
    }

    /// Blocks what needs a failed or blocked step.
    fn block_after(&mut self, first: usize) {
        let mut ended = vec![first];
        while let Some(first) = ended.pop() {
            for then in self.after[first].clone() {
                if self.states[then] != State::Waiting {
                    continue;
                }
                let need = self.object(first).clone();
                let state = match &self.states[first] {
                    State::Failed(why) => State::Blocked(Trouble::NeedFailed { need, why: Box::new(why.clone()) }),
                    State::NotBegun => State::NotBegun,
                    State::Late(_) => State::Late(Trouble::NeedLate(need)),
                    _ => State::Blocked(Trouble::NeedBlocked(need)),
                };
                self.states[then] = state;
                self.ready.remove(&then);
                self.gated.remove(&then);
                self.changed.insert(then);
                self.ended += 1;
                ended.push(then);
            }
        }
    }

    /// Where each step is.
    pub fn states(&self) -> &[State] {
        &self.states
    }

    /// The object of a step.
    pub fn object(&self, step: usize) -> &'a ObjectRef {
        &self.plan.changes[self.plan.steps[step].change].object
    }

    /// The steps that may start at a time; they count as sent.
    pub fn start_ready(&mut self, now: f64) -> Vec<usize> {
        self.now = now;
        if self.interrupted {
            return Vec::new();
        }
        let resting = std::mem::take(&mut self.resting).into_iter();
        let (rested, resting) = resting.partition(|(step, until)| self.rest_is_over(*step, *until, now));
        self.resting = resting;
        for (step, _) in Vec::into_iter(rested) {
            if self.states[step] == State::Waiting {
                self.rested(step);
            }
        }
        let ready: Vec<usize> = std::mem::take(&mut self.ready).into_iter().collect();
        ready.iter().for_each(|step| self.states[*step] = State::Sent);
        ready
    }

    /// The steps whose objects are becoming healthy, or going.
    pub fn settling(&self) -> impl Iterator<Item = usize> + '_ {
        self.settling.iter().copied()
    }

    /// The steps whose state changed since this was asked last.
    pub fn take_changed(&mut self) -> BTreeSet<usize> {
        std::mem::take(&mut self.changed)
    }

    /// The steps that wait for a step.
    pub fn held_by(&self, step: usize) -> impl Iterator<Item = usize> + '_ {
        self.after[step].iter().copied().filter(|then| self.states[*then] == State::Waiting)
    }

    /// The API server accepted a step's request at a time.
    pub fn accepted(&mut self, step: usize, now: f64) {
        self.now = now;
        // A step that nobody waits for cannot become healthy before a later one.
        let gone = self.plan.steps[step].kind == StepKind::Delete;
        // What takes something away afterwards waits for health always: make before break.
        let takes = |then: &usize| self.plan.steps[*then].is_careful();
        let must = gone || self.after[step].iter().any(takes);
        let settles = self.plan.steps[step].wait && (self.wait || must);
        self.set(step, if settles { State::Settling(now) } else { State::Done });
    }

    /// The API server refused a step's request for good.
    pub fn refused(&mut self, step: usize, refused: &Refused) {
        self.set(step, State::Failed(Trouble::Refused(Box::new(refused.clone()))));
    }

    /// A step that was begun is not sent any more, since the run was interrupted.
    pub fn unsent(&mut self, step: usize) {
        self.set(step, State::NotBegun);
    }

    /// The object of a step was looked at; none means that it does not exist.
    pub fn observed(&mut self, step: usize, health: Option<&Health>, now: f64) {
        self.now = now;
        let State::Settling(since) = self.states[step] else { return };
        let waited = now - since;
        let state = match (self.plan.steps[step].kind, health) {
            (StepKind::Delete, None) => State::Done,
            (StepKind::Delete, Some(health)) if waited > self.deadline => {
                State::Failed(Trouble::NotGone { seconds: whole(self.deadline), why: health.message.clone() })
            }
            (StepKind::Delete, Some(_)) => return,
            (_, None) => State::Failed(Trouble::Deleted),
            (_, Some(health)) => match health.verdict {
                Verdict::Current => State::Done,
                Verdict::Failed => State::Failed(Trouble::Unhealthy(health.clone())),
                Verdict::Unknown if is_open(health, waited) => State::Done,
                _ if waited > self.deadline => {
                    let (seconds, health) = (whole(self.deadline), health.clone());
                    State::Late(Trouble::NotHealthy { object: None, seconds, health })
                }
                _ => return,
            },
        };
        self.set(step, state);
    }

    /// No further step starts.
    pub fn interrupt(&mut self) {
        self.interrupted = true;
        for step in (0..self.states.len()).filter(|step| self.states[*step] == State::Waiting).collect::<Vec<_>>() {
            if self.states[step] == State::Waiting {
                self.set(step, State::NotBegun);
            }
        }
    }

    /// Whether the run was interrupted.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted
    }

    /// Whether no request is out and nothing can start; with an interrupt, what settles is not waited for.
    pub fn is_finished(&self) -> bool {
        let left = if self.interrupted { self.settling.len() } else { 0 };
        self.ended + left == self.states.len()
    }

    /// What a waiting step waits for.
    pub fn waits_for(&self, step: usize) -> BTreeSet<&'a ObjectRef> {
        self.before[step]
            .iter()
            .copied()
            .filter(|first| self.states[*first] != State::Done)
            .map(|first| self.object(first))
            .collect()
    }
}

/// Whether what nothing is known of is not waited for any longer (law 3). What could not be read is no such thing.
fn is_open(health: &Health, waited: f64) -> bool {
    health.verdict == Verdict::Unknown && (waited > NO_STATUS || health.reason.raw() != "NoStatus")
}

/// Whole seconds.
pub fn whole(seconds: f64) -> u64 {
    seconds.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Action, Change, Step};

    fn plan(order: &[(usize, usize)], count: usize) -> Plan {
        let change = |n: usize| Change {
            action: Action::Create,
            intended: Action::Create,
            ..Change::unchanged(&ObjectRef::new("", "ConfigMap", "ns", &format!("c{n}")), "v1", "platform")
        };
        let steps = (0..count)
            .map(|change| Step {
                change,
                kind: StepKind::Set,
                body: None,
                wait: true,
                settle: 0.0,
                probes: Vec::new(),
                gates: Vec::new(),
            })
            .collect();
        Plan { changes: (0..count).map(change).collect(), steps, order: order.to_vec(), ..Plan::default() }
    }

    #[test]
    fn a_step_starts_when_what_it_needs_is_healthy() {
        let plan = plan(&[(0, 1)], 3);
        let mut run = Run::new(&plan, 60.0, true);
        assert_eq!(run.start_ready(0.0), [0, 2]);
        run.accepted(0, 0.0);
        assert!(run.start_ready(0.0).is_empty());
        run.observed(0, Some(&Health::progressing("x", "")), 1.0);
        assert!(run.start_ready(0.0).is_empty());
        assert_eq!(run.waits_for(1).len(), 1);
        run.observed(0, Some(&Health::current()), 2.0);
        assert_eq!(run.start_ready(0.0), [1]);
    }

    #[test]
    fn a_step_rests_after_what_comes_before_it() {
        let mut plan = plan(&[(0, 1)], 3);
        plan.steps[1].settle = 5.0;
        plan.steps[2].settle = 5.0;
        let mut run = Run::new(&plan, 60.0, true);
        assert_eq!(run.start_ready(0.0), [0]);
        run.accepted(0, 1.0);
        run.observed(0, Some(&Health::current()), 3.0);
        assert!(run.start_ready(4.9).is_empty());
        assert_eq!(run.start_ready(5.0), [2]);
        assert!(run.start_ready(7.9).is_empty());
        run.interrupt();
        assert!(run.start_ready(9.0).is_empty());
        assert_eq!(run.states()[1], State::NotBegun);
    }

    /// What it waits for may come long after the rest: the Gateway learns of it only then.
    #[test]
    fn a_step_whose_gate_opens_late_rests_again() {
        let mut plan = plan(&[], 1);
        let object = plan.changes[0].object.clone();
        plan.steps[0].settle = 5.0;
        plan.steps[0].gates = vec![Gate { object: object.clone(), proof: crate::plan::Proof::Healthy, always: true }];
        let mut run = Run::new(&plan, 60.0, true);
        assert!(run.start_ready(5.0).is_empty());
        let not_yet = || Standing::NotYet(object.clone(), Health::progressing("Stale", ""));
        run.judged(0, not_yet(), 5.5);
        run.judged(0, Standing::Open, 30.0);
        assert!(run.start_ready(34.9).is_empty());
        assert!(run.start_ready(35.0).is_empty(), "its gates are looked at again");
        assert!(run.rests(), "and a newer commit does not end it right before that");
        run.judged(0, Standing::Open, 35.5);
        assert_eq!(run.start_ready(35.5), [0]);
        // One that opens and shuts is not waited for longer than any other.
        let mut run = Run::new(&plan, 60.0, true);
        run.start_ready(5.0);
        for at in [10.0, 20.0, 30.0, 40.0, 50.0, 60.0] {
            run.judged(0, not_yet(), at);
            run.judged(0, Standing::Open, at + 1.0);
            assert!(run.start_ready(at + 6.0).is_empty());
        }
        run.judged(0, not_yet(), 66.0);
        assert!(matches!(run.states()[0], State::Late(_)));
    }

    #[test]
    fn a_rest_ends_when_the_new_state_answers_and_not_while_another_one_does() {
        let mut plan = plan(&[], 1);
        let route = plan.changes[0].object.clone();
        plan.steps[0].settle = 5.0;
        plan.steps[0].probes =
            vec![crate::routing::Probe { route, hosts: Vec::new(), path: "/".to_owned(), mark: "a".to_owned() }];
        let other = || Answer::Other(Untrusted::new("200"));
        let begun = || {
            let mut run = Run::new(&plan, 60.0, true);
            assert!(run.start_ready(0.0).is_empty());
            assert_eq!(run.asking().count(), 1);
            run
        };
        let mut run = begun();
        (0..9).for_each(|_| run.asked(0, Answer::New, 1.0));
        run.asked(0, other(), 1.0);
        (0..9).for_each(|_| run.asked(0, Answer::New, 1.0));
        assert!(run.start_ready(1.0).is_empty(), "a proxy that is late answered among them");
        run.asked(0, Answer::New, 1.0);
        assert_eq!(run.start_ready(1.0), [0]);
        let mut run = begun();
        run.asked(0, Answer::Unknown, 1.0);
        assert!(run.start_ready(4.9).is_empty());
        assert_eq!(run.start_ready(5.0), [0], "nobody can be asked from here: it rests its time");
        let mut run = begun();
        run.asked(0, other(), 4.9);
        run.asked(0, Answer::Unknown, 5.1);
        run.asked(0, Answer::New, 5.2);
        assert!(run.start_ready(64.9).is_empty(), "a proxy follows the old state, whatever else answers since");
        assert!(!run.rests(), "a newer commit may end that");
        assert!(run.start_ready(65.1).is_empty());
        assert!(matches!(&run.states()[0], State::Late(Trouble::NotSwitched(how)) if how.raw().contains("200")));
    }

    #[test]
    fn a_failure_blocks_its_dependents_only() {
        let plan = plan(&[(0, 1), (1, 2)], 4);
        let mut run = Run::new(&plan, 60.0, true);
        run.start_ready(0.0);
        run.accepted(0, 0.0);
        run.accepted(3, 0.0);
        run.observed(0, Some(&Health::failed("Invalid", "no")), 1.0);
        run.observed(3, Some(&Health::current()), 1.0);
        run.start_ready(0.0);
        assert!(run.is_finished());
        let State::Blocked(Trouble::NeedFailed { need, why }) = &run.states()[1] else { panic!("{:?}", run.states()) };
        assert_eq!(need.to_string(), "ConfigMap ns/c0");
        assert_eq!(**why, Trouble::Unhealthy(Health::failed("Invalid", "no")));
        assert!(matches!(run.states()[2], State::Blocked(_)));
        assert_eq!(run.states()[3], State::Done);
    }

    #[test]
    fn a_deadline_ends_a_wait_and_no_status_ends_sooner() {
        let plan = plan(&[], 2);
        let mut run = Run::new(&plan, 60.0, true);
        run.start_ready(0.0);
        run.accepted(0, 0.0);
        run.accepted(1, 0.0);
        run.observed(0, Some(&Health::progressing("x", "")), 61.0);
        run.observed(1, Some(&Health::new(Verdict::Unknown, "NoStatus", "")), 14.0);
        assert!(matches!(run.states()[0], State::Late(_)));
        assert!(matches!(run.states()[1], State::Settling(_)));
        run.observed(1, Some(&Health::new(Verdict::Unknown, "NoStatus", "")), 16.0);
        assert_eq!(run.states()[1], State::Done);
    }

    #[test]
    fn an_interrupt_finishes_what_is_in_flight() {
        let plan = plan(&[(0, 1)], 2);
        let mut run = Run::new(&plan, 60.0, true);
        run.start_ready(0.0);
        run.interrupt();
        assert!(!run.is_finished());
        run.accepted(0, 0.0);
        assert!(run.start_ready(0.0).is_empty() && run.is_finished());
    }
}
