//! One writer at a time: the Lease of an environment, held while a plan is done, and whether the plan still stands once it
//! is held. `apply` and the agent both write by it.

use super::{Planned, ensure_namespace, is_unrecorded};
use crate::api::Refused;
use crate::cluster::{Claim, Cluster, Fence, Lease, LeaseError};
use crate::inventory::{self, Parent};
use crate::object::GroupKind;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How often a plan is made because someone else wrote since the one before.
pub const REPLANS: usize = 3;

/// Who takes the Lease of an environment, and how.
#[derive(Clone, Debug)]
pub struct Writer {
    /// How the holder is named ([`holder`]).
    pub holder: String,
    /// How long the Lease lasts without being renewed.
    pub lease: Duration,
    /// How long it is waited for while others hold and renew it; none to give up as soon as that is seen.
    pub patience: Option<Duration>,
}

/// The name of a writer: where it runs, its process, and a number that no other writer of it has.
pub fn holder(place: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{place}-{}-{}-{count}", std::process::id(), jiff::Timestamp::now().as_millisecond())
}

/// The name of this machine; inside a cluster, of the pod.
pub fn machine() -> String {
    let given = std::env::var("HOSTNAME").ok();
    let kernel = || std::fs::read_to_string(Path::new("/proc/sys/kernel/hostname")).ok();
    let name = given.or_else(kernel).unwrap_or_default();
    if name.trim().is_empty() { "spinway".to_owned() } else { name.trim().to_owned() }
}

/// A Lease that is renewed until it is given back.
pub struct Lock {
    fence: Fence,
    waited: bool,
    stop: oneshot::Sender<()>,
    renewing: JoinHandle<()>,
    cluster: Cluster,
}

impl Lock {
    /// Takes the Lease of a plan's environment, and goes on renewing it. `tell` hears the Lease and each holder that is
    /// waited for.
    ///
    /// # Errors
    /// It is held, or cannot be read or written.
    pub async fn take(
        cluster: &Cluster,
        planned: &Planned,
        writer: &Writer,
        tell: &mut (dyn FnMut(&str, &str) + Send),
    ) -> Result<Self, LeaseError> {
        let desired = &planned.desired;
        let kind = GroupKind::new("coordination.k8s.io", "Lease");
        let served = planned.reading.live.kinds.get(&kind).ok_or(LeaseError::NotServed)?;
        let namespace = desired.rules().inventory.namespace.as_str();
        let name = format!("spinway.{}.{}", desired.name, desired.environment.name);
        let shown = format!("{namespace}/{name}");
        let made = ensure_namespace(cluster, planned, namespace).await;
        made.map_err(|refused| LeaseError::Refused {
            object: shown.clone(),
            message: format!("its namespace cannot be made: {} {}", refused.code, refused.message.terminal()),
        })?;
        let Writer { holder, lease, patience } = writer;
        let claim = Claim { namespace, name: &name, holder, duration: *lease, patience: *patience };
        let lease = cluster.take_lease(&claim, served, &mut |holder| tell(&shown, holder)).await?;
        Ok(Self::keep(cluster, lease))
    }

    fn keep(cluster: &Cluster, lease: Lease) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (fence, waited) = (lease.fence().clone(), lease.was_waited_for());
        let renewing = tokio::spawn(renew(cluster.clone(), lease, stopped));
        Self { fence, waited, stop, renewing, cluster: cluster.clone() }
    }

    /// Until when writes may be sent.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Whether a plan that was made before the Lease was taken no longer stands. Whoever held it meanwhile may have written
    /// without a word in the inventory, when it was killed; whoever came and went has left one there.
    ///
    /// # Errors
    /// The inventory cannot be read.
    pub async fn has_overtaken(&self, planned: &Planned) -> Result<bool, Refused> {
        Ok(self.waited || !is_current(&self.cluster, planned).await?)
    }

    /// Gives the Lease back, and waits for that. One that is dropped is given back aside.
    pub async fn release(self) {
        let _ = self.stop.send(());
        let _ = self.renewing.await;
    }
}

/// Resolves when no further write may be sent.
pub async fn lost(fence: &Fence) {
    loop {
        let remaining = fence.remaining();
        if remaining.is_zero() {
            return;
        }
        tokio::time::sleep(remaining).await;
    }
}

/// Whether nothing is to be written, or nothing may be.
pub fn is_idle(planned: &Planned) -> bool {
    planned.plan.refused.is_some() || !planned.plan.has_work() && !is_unrecorded(planned)
}

/// Whether the inventory is still the one that was planned with: whoever wrote, wrote there.
///
/// # Errors
/// The inventory cannot be read, and could when it was planned.
pub async fn is_current(cluster: &Cluster, planned: &Planned) -> Result<bool, Refused> {
    let namespace = planned.desired.config.as_ref().map(|config| config.inventory.namespace.as_str());
    let maps = match cluster.inventories(namespace, &planned.reading.live.kinds).await {
        Ok(maps) => maps,
        // Nothing of it was known before either.
        Err(_) if planned.plan.parents.iter().all(|parent| planned.plan.broken.contains(&parent.partition)) => {
            return Ok(true);
        }
        Err(refused) => return Err(refused),
    };
    let (now, broken) = inventory::find(&planned.desired, maps.iter());
    let versions = |parents: &[Parent]| -> BTreeSet<(String, String)> {
        parents.iter().map(|p| (p.name.clone(), p.resource_version.clone())).collect()
    };
    Ok(broken.keys().eq(planned.plan.broken.iter()) && versions(&now) == versions(&planned.plan.parents))
}

/// Renews a Lease until that is stopped, and gives it back.
async fn renew(cluster: Cluster, mut lease: Lease, mut stopped: oneshot::Receiver<()>) {
    while !lease.fence().is_closed() {
        tokio::select! {
            _ = &mut stopped => break,
            () = tokio::time::sleep(lease.pace()) => {}
        }
        // Once it is lost the fence is closed; while the server does not answer it ends by itself.
        if let Err(refused) = cluster.renew_lease(&mut lease).await {
            tracing::warn!(code = refused.code, reason = refused.reason, "the lease is not renewed");
        }
    }
    cluster.release_lease(lease).await;
}
