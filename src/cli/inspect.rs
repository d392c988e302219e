//! What `drift` and `status` share: looking at a repository's objects, or at what the cluster's own inventory names.

use super::common::{LiveOptions, Output, Planning, Repository, Rewrites, Select};
use super::failure::Failure;
use super::{plan, ui};
use crate::cluster::{Cluster, Reading};
use crate::inventory::Parent;
use crate::object::Untrusted;
use crate::ops::{self, Planned};
use clap::Args;
use serde_json::Value;

/// Which objects are looked at, and how the result is shown.
#[derive(Args)]
pub(super) struct Inspect {
    #[command(flatten)]
    repository: Repository,
    #[command(flatten)]
    live: LiveOptions,
    /// The namespace of the inventory, where there is no repository
    #[arg(long, env = "SPINWAY_INVENTORY_NAMESPACE", value_name = "NAME", default_value = "spinway-system")]
    inventory_namespace: String,
    #[command(flatten)]
    select: Select,
    #[command(flatten)]
    pub(super) output: Output,
}

/// What was looked at.
pub(super) enum Seen {
    /// The objects of the cluster's own inventories.
    Inventory(Box<(Cluster, Reading)>),
    /// The objects of a repository.
    Repository(Box<Planned>),
}

impl Inspect {
    /// Looks: at the inventory when no repository is given or around.
    pub(super) async fn look(&self, verb: &str) -> Result<Seen, Failure> {
        if self.live.against.is_some() {
            return Err(Failure::usage_but(
                format!("`{verb}` needs live state, and the revision of --against has none"),
                "Use a cluster or --snapshot FILE. `spinway plan --against REV` shows what differs between revisions.",
            ));
        }
        if self.repository.is_absent() && self.live.snapshot.is_none() {
            let cluster = self.live.connection.connect().await?;
            let reading = cluster.observe_owned(&self.inventory_namespace, readable).await;
            let reading = reading.map_err(ops::Error::from)?;
            return Ok(Seen::Inventory(Box::new((cluster, reading))));
        }
        // Nothing is written, so neither where the inventory comes from nor what was applied last matters.
        let (take_inventory, rewrites) = (true, Rewrites::Allow);
        let planning = Planning { take_inventory, rewrites, select: self.select.clone(), ..Planning::default() };
        let planned = plan::planned(&self.repository, &self.live, &planning).await?;
        ui::diagnostics(&planned.desired.diagnostics, &planned.repository.tree, self.output.quiet);
        Ok(Seen::Repository(Box::new(planned)))
    }
}

/// The inventories that can be read; of the others it is said why not.
fn readable(maps: &[Value]) -> Vec<Parent> {
    let found = maps.iter().map(Parent::found);
    let told = found.map(|parent| parent.map_err(|error| ui::progress(&Untrusted::new(error.to_string()).terminal())));
    told.filter_map(Result::ok).collect()
}
