//! Looks at what the gates of steps ask about, right before the steps are sent: whatever was read when the plan was made may
//! have changed since, by anyone.

use super::Planned;
use crate::api::Refused;
use crate::apply::{Gatekeeper, Standing};
use crate::cluster::Cluster;
use crate::live::Observed;
use crate::object::{GroupKind, ObjectRef};
use crate::plan::{self, Gate, Plan, Proof};
use crate::routing::is_route_kind;
use futures::stream::{self, StreamExt as _};
use std::cell::OnceCell;
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
    let (desired, live) = (&*planned.desired, &planned.reading.live);
    let now = jiff::Timestamp::now().as_second();
    let observed = Observed::with_made(desired, live, made).at(now);
    let keeper = Gatekeeper { plan, desired, live, observed, unread, users: OnceCell::new() };
    asked.iter().map(|(step, gates)| (*step, keeper.standing(*step, gates))).collect()
}

/// Reads again what gates are about; gives what could not be read.
async fn read(
    cluster: &Cluster,
    planned: &mut Planned,
    asked: &[Asked],
    concurrency: usize,
) -> Vec<(ObjectRef, Refused)> {
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
        let routes: Vec<GroupKind> =
            planned.reading.live.kinds.keys().filter(|kind| is_route_kind(kind)).cloned().collect();
        for kind in routes {
            if let Err(refused) = cluster.read_again(&mut planned.reading.live, &kind, None).await {
                unread.push((ObjectRef::new(&kind.group, &kind.kind, "", ""), refused));
            }
        }
    }
    unread
}

/// The version in which an object is read: that of the repository, else the server's preferred one.
fn version_of(planned: &Planned, object: &ObjectRef) -> String {
    let wanted = planned.desired.objects.get(object).map(|member| member.object.version.clone());
    let served = || planned.reading.live.kinds.get(&object.group_kind())?.versions.first().cloned();
    wanted.or_else(served).unwrap_or_default()
}
