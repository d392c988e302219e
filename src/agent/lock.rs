//! Holding the Lease while a plan is done.

use crate::cluster::{Cluster, Fence, Lease};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A Lease that is renewed until it is given back.
pub(super) struct Lock {
    fence: Fence,
    stop: oneshot::Sender<()>,
    renewing: JoinHandle<Lease>,
    cluster: Cluster,
}

impl Lock {
    /// Goes on renewing a Lease.
    pub(super) fn keep(cluster: &Cluster, lease: Lease) -> Self {
        let (stop, stopped) = oneshot::channel();
        let fence = lease.fence().clone();
        let renewing = tokio::spawn(renew(cluster.clone(), lease, stopped));
        Self { fence, stop, renewing, cluster: cluster.clone() }
    }

    /// Until when writes may be sent.
    pub(super) fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Gives the Lease back.
    pub(super) async fn release(self) {
        let _ = self.stop.send(());
        if let Ok(lease) = self.renewing.await {
            self.cluster.release_lease(lease).await;
        }
    }
}

/// Resolves when no further write may be sent.
pub(super) async fn lost(fence: &Fence) {
    loop {
        let remaining = fence.remaining();
        if remaining.is_zero() {
            return;
        }
        tokio::time::sleep(remaining).await;
    }
}

async fn renew(cluster: Cluster, mut lease: Lease, mut stopped: oneshot::Receiver<()>) -> Lease {
    loop {
        tokio::select! {
            _ = &mut stopped => return lease,
            () = tokio::time::sleep(lease.pace()) => {}
        }
        // Once it is lost the fence is closed; while the server does not answer it ends by itself.
        if let Err(refused) = cluster.renew_lease(&mut lease).await {
            tracing::warn!(code = refused.code, reason = refused.reason, "the lease is not renewed");
        }
        if lease.fence().is_closed() {
            let _ = stopped.await;
            return lease;
        }
    }
}
