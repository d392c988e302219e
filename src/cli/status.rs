//! `spinway status`.

use super::common::{LiveOptions, Output, Planning, Repository, Select};
use super::failure::{FAILED, Failure};
use super::{plan, ui};
use crate::cluster::Cluster;
use crate::report::{Report, owned_health};
use clap::Args;

/// Show the health of every object, the reason, and what waits for what
///
/// Without DIR, and outside of a repository, the objects of the cluster's own inventory are judged.
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

/// Reports health.
pub(super) async fn run(arguments: Arguments) -> Result<u8, Failure> {
    let report = if arguments.repository.is_absent() && arguments.live.snapshot.is_none() {
        let connection = &arguments.live.connection;
        let cluster = Cluster::connect(connection.kubeconfig.as_deref(), connection.context.as_deref())
            .await
            .map_err(crate::ops::Error::from)?;
        let reading = cluster.observe_owned(&arguments.inventory_namespace).await.map_err(crate::ops::Error::from)?;
        let health = owned_health(&reading.live, &reading.parents);
        Report {
            schema: crate::report::SCHEMA,
            verb: "status",
            health,
            requests: cluster.requests(),
            ..Report::default()
        }
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
        let mut report = plan::report("status", &planned);
        report.health.retain(|row| report.changes.iter().any(|change| change.object == row.object));
        report.changes.clear();
        report.digest.clear();
        report
    };
    arguments.output.write(&report)?;
    Ok(if arguments.output.fails(&report) { FAILED } else { 0 })
}
