//! `spinway drift`.

use super::common::costing;
use super::failure::{DIFFERENT, FAILED, Failure, REFUSED};
use super::inspect::{Inspect, Seen};
use super::plan;
use crate::plan::drift_of_owned;
use crate::report::{drift_only, from_drift};
use clap::Args;

/// Show what differs from what was last applied, field by field, and who changed it
///
/// Without DIR, and outside of a repository, the cluster's own inventory says what was applied; then there are no values
/// from before, and removed fields are only counted.
#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    inspect: Inspect,
}

/// Reports drift.
pub(super) async fn run(arguments: Arguments) -> Result<u8, Failure> {
    let output = &arguments.inspect.output;
    let (report, refused) = match arguments.inspect.look("drift").await? {
        Seen::Inventory(seen) => {
            let (cluster, reading) = *seen;
            let found = drift_of_owned(&reading.live, &reading.parents);
            (costing(from_drift("", &found), &cluster), false)
        }
        Seen::Repository(planned) => {
            let mut report = plan::report("drift", &planned, output);
            drift_only(&mut report);
            (report, planned.plan.refused.is_some())
        }
    };
    output.write(&report)?;
    Ok(match report.changes.is_empty() {
        _ if refused => REFUSED,
        _ if output.fails(&report) => FAILED,
        false if output.exit_code => DIFFERENT,
        _ => 0,
    })
}
