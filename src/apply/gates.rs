//! How the gates of steps stand, by what was read last.

use crate::api::Refused;
use crate::desired::Desired;
use crate::kinds::{self, Health, SPIN, Verdict};
use crate::live::{Live, Observed};
use crate::object::{GroupKind, ObjectRef, Untrusted};
use crate::plan::{self, Gate, Plan, Proof, Users};
use crate::routing::is_route_kind;
use std::cell::OnceCell;

/// How the gates of a step stand.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// All hold.
    Open,
    /// What is not so yet, and may become so.
    NotYet(ObjectRef, Health),
    /// What will not become so by itself.
    Sick(ObjectRef, Health),
    /// The object that the step deletes is used by another one.
    Used(ObjectRef),
    /// Nothing tells whether the object that the step deletes is used: those that may use it cannot be read, and why.
    Unreadable(GroupKind, Untrusted),
    /// The object that the step deletes is another one by now, or belongs to someone else.
    NotOurs,
}

/// Judges gates.
pub struct Gatekeeper<'a> {
    /// The plan whose steps are judged.
    pub plan: &'a Plan,
    /// What is wanted.
    pub desired: &'a Desired,
    /// What was read last.
    pub live: &'a Live,
    /// The view of health rules on both.
    pub observed: Observed<'a>,
    /// What could not be read; an object without a name stands for all of its kind.
    pub unread: Vec<(ObjectRef, Refused)>,
    /// Who refers to what, once it is asked for.
    pub users: OnceCell<Users<'a>>,
}

impl Gatekeeper<'_> {
    /// How a step stands: what shuts it counts for more than what it waits for.
    pub fn standing(&self, step: usize, gates: &[Gate]) -> Standing {
        let mut worst = Standing::Open;
        for standing in gates.iter().map(|gate| self.gate(step, gate)) {
            match standing {
                Standing::Open => {}
                // What nothing is known of is not waited for as long as what is on its way: it must not stand for that.
                Standing::NotYet(_, ref health) => match &worst {
                    Standing::NotYet(_, known) if known.verdict != Verdict::Unknown => {}
                    Standing::NotYet(..) if health.verdict == Verdict::Unknown => {}
                    _ => worst = standing,
                },
                shut => return shut,
            }
        }
        worst
    }

    fn gate(&self, step: usize, gate: &Gate) -> Standing {
        let (object, live) = (&gate.object, self.live);
        if let Some(standing) = self.not_read(gate) {
            return standing;
        }
        match gate.proof {
            Proof::Healthy => told(object, self.observed.health(object)),
            Proof::Serves => {
                let mut makers = self.makers(object).map(|(app, health)| told(&app, health));
                makers.find(|standing| *standing != Standing::Open).unwrap_or_else(|| self.endpoints(object))
            }
            Proof::StillServes => self.endpoints(object),
            Proof::Unused => {
                let user = self.users.get_or_init(|| Users::of(live)).user_of(object, live);
                user.map_or(Standing::Open, |user| Standing::Used(user.clone()))
            }
            Proof::Ours => {
                let uid = &self.plan.changes[self.plan.steps[step].change].uid;
                match live.get(object) {
                    Some(value) if !plan::is_ours(self.plan, uid, value) => Standing::NotOurs,
                    // What is gone already need not be deleted.
                    _ => Standing::Open,
                }
            }
        }
    }

    /// What could not be read may be readable in a moment; until it is, nothing is known, and nothing goes. A right that is missing
    /// does not come by itself.
    fn not_read(&self, gate: &Gate) -> Option<Standing> {
        let may_use = |object: &ObjectRef| {
            gate.proof == Proof::Unused && is_route_kind(&object.group_kind()) && object.name.is_empty()
        };
        let (unread, refused) = self.unread.iter().find(|(object, _)| *object == gate.object || may_use(object))?;
        let why = format!("{} {}", refused.code, refused.reason);
        if may_use(unread) && matches!(refused.code, 401 | 403) {
            return Some(Standing::Unreadable(unread.group_kind(), Untrusted::new(why)));
        }
        let health = Health::progressing("NotRead", format!("It cannot be read: {why}"));
        Some(Standing::NotYet(gate.object.clone(), health))
    }

    fn makers(&self, backend: &ObjectRef) -> impl Iterator<Item = (ObjectRef, Health)> + '_ {
        let apps = plan::makers(backend, self.desired, self.live);
        apps.map(|app| {
            let health = self.observed.health(&app);
            (app, health)
        })
    }

    /// Whether a backend has a ready endpoint. Where that cannot be read, an app that is healthy has one.
    fn endpoints(&self, backend: &ObjectRef) -> Standing {
        let health = kinds::serving(backend, &self.observed);
        if health.reason.raw() != "EndpointsNotRead" {
            return told(backend, health);
        }
        let mut apps = self.makers(backend).peekable();
        let known = apps.peek().is_some();
        match apps.find(|(_, health)| health.verdict != Verdict::Current) {
            Some((app, health)) => told(&app, health),
            None if known => Standing::Open,
            None => Standing::Sick(backend.clone(), health),
        }
    }
}

fn told(object: &ObjectRef, health: Health) -> Standing {
    match health.verdict {
        Verdict::Current => Standing::Open,
        Verdict::Failed | Verdict::Terminating => Standing::Sick(object.clone(), health),
        // It may come: with another turn, or by another hand.
        Verdict::Progressing | Verdict::Missing => Standing::NotYet(object.clone(), health),
        Verdict::Unknown if health.reason.raw() == "NotRead" => Standing::Sick(object.clone(), health),
        // A SpinApp whose executor makes no Deployment is judged by its endpoints.
        Verdict::Unknown if object.is(SPIN, "SpinApp") && health.reason.raw() == "NoDeployment" => Standing::Open,
        Verdict::Unknown => Standing::NotYet(object.clone(), health),
    }
}
