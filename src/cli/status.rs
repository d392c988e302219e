//! `spinway status`.

use super::common::costing;
use super::failure::{FAILED, Failure};
use super::inspect::{Inspect, Seen};
use super::plan;
use crate::report::{Report, SCHEMA, owned_health};
use clap::Args;

/// Show the health of every object, the reason, and what waits for what
///
/// Without DIR, and outside of a repository, the objects of the cluster's own inventory are judged.
#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    inspect: Inspect,
}

/// Reports health.
pub(super) async fn run(arguments: Arguments) -> Result<u8, Failure> {
    let output = &arguments.inspect.output;
    let mut report = match arguments.inspect.look("status").await? {
        Seen::Inventory(seen) => {
            let (cluster, reading) = *seen;
            let health = owned_health(&reading.live, &reading.parents);
            costing(Report { schema: SCHEMA.into(), verb: "status".into(), health, ..Report::default() }, &cluster)
        }
        Seen::Repository(planned) => {
            let mut report = plan::report("status", &planned, output);
            // A selection leaves objects out of the plan; so it does here.
            report.health.retain(|row| report.changes.iter().any(|change| change.object == row.object));
            report
        }
    };
    let fails = output.fails(&report);
    report.changes.clear();
    report.digest.clear();
    output.write(&report)?;
    Ok(if fails { FAILED } else { 0 })
}
