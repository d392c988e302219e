//! `spinway drift`.

use super::common::{LiveOptions, Output, Planning, Repository, Select};
use super::failure::{DIFFERENT, FAILED, Failure, REFUSED};
use super::{plan, ui};
use crate::cluster::Cluster;
use crate::inventory::PART_OF;
use crate::object::label;
use crate::plan::drift;
use crate::report::{drift_only, from_drift};
use clap::Args;

/// Show what differs from what was last applied, field by field, and who changed it
///
/// Without DIR, and outside of a repository, the cluster's own inventory says what was applied; then there are no values
/// from before, and removed fields are only counted.
#[derive(Args)]
pub(super) struct Arguments {
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
    output: Output,
}

/// Reports drift.
pub(super) async fn run(arguments: Arguments) -> Result<u8, Failure> {
    let report = if arguments.repository.is_absent() && arguments.live.snapshot.is_none() {
        let connection = &arguments.live.connection;
        let cluster = Cluster::connect(connection.kubeconfig.as_deref(), connection.context.as_deref())
            .await
            .map_err(crate::ops::Error::from)?;
        let reading = cluster.observe_owned(&arguments.inventory_namespace).await.map_err(crate::ops::Error::from)?;
        let partition = |id: &str| reading.parents.iter().find(|p| p.id == id).map(|p| p.partition.clone());
        let rows = reading.live.objects().iter().filter_map(|(reference, value)| {
            let partition = partition(label(value, PART_OF)?)?;
            let (fields, removed) = drift(value);
            (!fields.is_empty() || removed > 0).then(|| (reference.clone(), partition, fields, removed))
        });
        let mut report = from_drift("", rows.collect());
        report.requests = cluster.requests();
        report
    } else {
        let planning = Planning {
            adopt: false,
            approve: Vec::new(),
            strict: false,
            take_inventory: true,
            select: arguments.select.clone(),
        };
        let planned = plan::planned(&arguments.repository, &arguments.live, &planning).await?;
        ui::diagnostics(&planned.desired.diagnostics, &planned.repository.tree, arguments.output.quiet);
        let mut report = plan::report("drift", &planned);
        drift_only(&mut report);
        if planned.plan.refused.is_some() {
            arguments.output.write(&report)?;
            return Ok(REFUSED);
        }
        report
    };
    arguments.output.write(&report)?;
    let different = !report.changes.is_empty();
    Ok(match (different, arguments.output.exit_code) {
        _ if arguments.output.fails(&report) => FAILED,
        (true, true) => DIFFERENT,
        _ => 0,
    })
}
