//! Taking a snapshot: live state with all that planning may read of it.

use super::Error;
use crate::api::Refused;
use crate::cluster::{self, Cluster};
use crate::desired::Desired;
use crate::graph::Graph;
use crate::live::Live;
use std::sync::Arc;

/// Reads the live state that planning a repository needs, each object as it is.
///
/// # Errors
/// The API server cannot be used, or an inventory cannot be read: without it nothing is known to be ours.
pub async fn snapshot(cluster: &Cluster, desired: &Arc<Desired>) -> Result<Live, Error> {
    let types = cluster.types().await?;
    let namespace = desired.config.as_ref().map(|config| config.inventory.namespace.as_str());
    let maps = cluster.inventories(namespace, &types.kinds).await.map_err(|refused| unread(&refused))?;
    let mut reading = cluster.observe(desired, types, Ok(maps), true).await?;
    cluster.look_up_references(desired, &Graph::of(desired), &mut reading).await;
    for parent in &reading.parents {
        // The inventory is part of what planning needs.
        if let Some(refused) = cluster.refresh(&mut reading.live, &parent.reference(), "v1").await {
            return Err(unread(&refused));
        }
    }
    reading.live.namespace.clone_from(&cluster.namespace);
    Ok(reading.live)
}

fn unread(refused: &Refused) -> Error {
    let text = format!("an inventory cannot be read: {} {}", refused.code, refused.message.terminal());
    cluster::Error::Server(text).into()
}
