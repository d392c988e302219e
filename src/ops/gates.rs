//! Looks at what the gates of steps ask about, right before the steps are sent: whatever was read when the plan was made may
//! have changed since, by anyone.

use super::Planned;
use crate::apply::Standing;
use crate::cluster::Cluster;
use crate::kinds::{self, GATEWAY, Health, SPIN, Verdict};
use crate::live::Observed;
use crate::object::{GroupKind, ObjectRef};
use crate::plan::{self, Gate, Plan, Proof, Refused};
use futures::stream::{self, StreamExt as _};
use std::collections::BTreeSet;

/// A step with the gates that are asked of it.
pub(super) type Asked = (usize, Vec<Gate>);

/// Looks at everything that gates are about, and says how each step stands.
pub(super) async fn look(
    cluster: &Cluster,
    planned: &mut Planned,
    plan: &Plan,
    made: &BTreeSet<ObjectRef>,
    asked: &[Asked],
    concurrency: usize,
) -> Vec<(usize, Standing)> {
    let unread = read(cluster, planned, asked, concurrency).await;
    let view = View { planned, plan, observed: Observed::with_made(&planned.desired, &planned.reading.live, made), unread };
    asked.iter().map(|(step, gates)| (*step, view.standing(*step, gates))).collect()
}

/// Reads again what gates are about; gives what could not be read.
async fn read(cluster: &Cluster, planned: &mut Planned, asked: &[Asked], concurrency: usize) -> Vec<(ObjectRef, Refused)> {
    let gates: BTreeSet<&Gate> = asked.iter().flat_map(|(_, gates)| gates).collect();
    let is_backend = |gate: &&&Gate| matches!(gate.proof, Proof::Serves | Proof::StillServes);
    let mut objects: BTreeSet<ObjectRef> = gates.iter().map(|gate| gate.object.clone()).collect();
    for gate in gates.iter().filter(is_backend) {
        objects.extend(plan::makers(&gate.object, &planned.desired, &planned.reading.live));
    }
    let live = &planned.reading.live;
    let looks = objects.into_iter().map(|object| {
        let version = version_of(planned, &object);
        async move {
            let look = cluster.look(live, &object, &version).await;
            (object, look)
        }
    });
    let looks: Vec<_> = stream::iter(looks).buffer_unordered(concurrency).collect().await;
    let mut unread = Vec::new();
    for (object, look) in looks {
        match look {
            Ok(look) => look.show(&mut planned.reading.live),
            Err(refused) => unread.push((object, refused)),
        }
    }
    let slices = GroupKind::new("discovery.k8s.io", "EndpointSlice");
    let namespaces: BTreeSet<&str> = gates.iter().filter(is_backend).map(|gate| gate.object.namespace()).collect();
    for namespace in namespaces {
        // Without permission it stays unknown, and the health of what makes the Service decides.
        let _ = cluster.read_again(&mut planned.reading.live, &slices, Some(namespace)).await;
    }
    if gates.iter().any(|gate| gate.proof == Proof::Unused) {
        let routes: Vec<GroupKind> = planned.reading.live.kinds.keys().filter(|kind| is_route(kind)).cloned().collect();
        for kind in routes {
            if let Err(refused) = cluster.read_again(&mut planned.reading.live, &kind, None).await {
                unread.push((ObjectRef::new(&kind.group, &kind.kind, "", ""), refused));
            }
        }
    }
    unread
}

fn is_route(kind: &GroupKind) -> bool {
    kind.group == GATEWAY && kind.kind.ends_with("Route")
}

/// The version in which an object is read: that of the repository, else the server's preferred one.
fn version_of(planned: &Planned, object: &ObjectRef) -> String {
    let wanted = planned.desired.objects.get(object).map(|member| member.object.version.clone());
    let served = || planned.reading.live.kinds.get(&object.group_kind())?.versions.first().cloned();
    wanted.or_else(served).unwrap_or_default()
}

struct View<'a> {
    planned: &'a Planned,
    plan: &'a Plan,
    observed: Observed<'a>,
    unread: Vec<(ObjectRef, Refused)>,
}

impl View<'_> {
    /// How a step stands: what shuts it counts for more than what it waits for.
    fn standing(&self, step: usize, gates: &[Gate]) -> Standing {
        let mut worst = Standing::Open;
        for standing in gates.iter().map(|gate| self.gate(step, gate)) {
            match standing {
                Standing::Open => {}
                Standing::NotYet(..) if worst == Standing::Open => worst = standing,
                Standing::NotYet(..) => {}
                shut => return shut,
            }
        }
        worst
    }

    fn gate(&self, step: usize, gate: &Gate) -> Standing {
        let (object, live) = (&gate.object, &self.planned.reading.live);
        if let Some(health) = self.not_read(gate) {
            return Standing::NotYet(object.clone(), health);
        }
        match gate.proof {
            Proof::Healthy => told(object, self.observed.health(object)),
            Proof::Serves => match self.makers(object).find(|(_, health)| health.verdict != Verdict::Current) {
                Some((app, health)) => told(&app, health),
                None => self.endpoints(object),
            },
            Proof::StillServes => self.endpoints(object),
            Proof::Unused => {
                plan::user_of(object, live).map_or(Standing::Open, |user| Standing::Used(user.clone()))
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

    /// What could not be read may be readable in a moment; until it is, nothing is known, and nothing goes.
    fn not_read(&self, gate: &Gate) -> Option<Health> {
        let about = |object: &ObjectRef| {
            *object == gate.object || gate.proof == Proof::Unused && is_route(&object.group_kind()) && object.name.is_empty()
        };
        let (_, refused) = self.unread.iter().find(|(object, _)| about(object))?;
        Some(Health::progressing("NotRead", format!("It cannot be read: {} {}", refused.code, refused.reason)))
    }

    fn makers(&self, backend: &ObjectRef) -> impl Iterator<Item = (ObjectRef, Health)> + '_ {
        let apps = plan::makers(backend, &self.planned.desired, &self.planned.reading.live);
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
